"""Other servers, each a program that prints its port, for comparison with this one.  They are as plain as can be."""
