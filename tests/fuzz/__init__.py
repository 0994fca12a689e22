"""What the fuzzing tests (L{tests.test_fuzz}) are made of."""
