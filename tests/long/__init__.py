"""Tests that take long and seldom find what the others do not: C{make test-long}."""
