"""Tests of the documents and the manual pages."""
