"""What goes wrong, and when: plans of faults."""
