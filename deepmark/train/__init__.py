"""Training: targets, loss, the loop, checkpoints, and the processes that train together."""
