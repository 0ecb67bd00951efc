"""The detector behind a URL: `deepmark serve`."""
