"""A back end that cannot be imported, as happens when what it needs is gone."""

raise RuntimeError("the library behind it\nis too old")
