"""WebDataset shards: writing, the index of checksums, verified reading, shards on other storage."""
