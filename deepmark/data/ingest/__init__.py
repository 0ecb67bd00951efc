"""Raw DeepFashion2 files to checked records."""
