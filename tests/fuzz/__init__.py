"""What the fuzzing tests (L{tests.fuzz.test_fuzz}) are made of."""
