"""Tests of whole servers as processes, asked over real sockets."""
