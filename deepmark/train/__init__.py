"""Targets, loss, the training loop, checkpoints, and the processes of a training."""
