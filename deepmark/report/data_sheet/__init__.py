"""The data sheet: what a data set holds, how it is labelled, and what changed since its last version."""
