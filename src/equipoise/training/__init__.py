"""Training: one step, the loop around it, its log and its checkpoints."""
