"""Tests for what is built and installed: wheels, Debian and RPM packages, the container image, systemd units."""
