"""The tutorial's own tests: the gate every stage has to pass."""
