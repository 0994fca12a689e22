"""The logs of queries and failures, and the log formats."""
