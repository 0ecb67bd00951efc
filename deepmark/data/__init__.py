"""Records, predictions and images on disk, and the samples a training reads."""
