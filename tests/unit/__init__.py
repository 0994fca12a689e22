"""Tests of finger's modules, with Twisted's doubles or sockets on loopback."""
