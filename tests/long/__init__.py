"""Slow tests, which rarely find more than the others; C{make test-long} runs them."""
