"""A workspace: where its files are, how it is made, and which data its stages read."""
