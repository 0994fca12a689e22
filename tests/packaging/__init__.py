"""Tests of what is built and installed: wheels, Debian and RPM packages, the image, units."""
