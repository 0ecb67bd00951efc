"""The page that finds garments in photos: one source for `deepmark serve`, and for a browser alone."""
