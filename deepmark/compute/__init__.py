"""Where the pieces of a stage run: processes of this machine, or a Ray cluster."""
