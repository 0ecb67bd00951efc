"""A team's own labelled images, from the formats of labelling tools to folders that `deepmark ingest` takes."""
