"""The systems under test, and the faults that can be done to them."""
