"""What candidates elect their leader on, each with the semantics of what it stands for."""
