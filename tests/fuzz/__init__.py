"""The fuzzing tests (L{tests.fuzz.test_fuzz}), their inputs and their peers."""
