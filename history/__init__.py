"""What happened: operations, faults, set-up, and the reading and writing of them."""
