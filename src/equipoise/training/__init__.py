"""Training: the step, the loop, checkpoints, devices and speed."""
