"""RFC 1288 and host names as pure values: no I/O, no Twisted."""
