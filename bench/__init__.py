"""
Measurements of this server, and of others for comparison, within one run: `make bench`.

L{bench.__main__} has the command line, L{bench.sections} what is measured, L{bench.servers} the servers,
L{bench.loads} what sends requests, and L{bench.report} and L{bench.picture} the results.
"""
