"""Records, predictions and images on disk, and the samples that training reads."""
