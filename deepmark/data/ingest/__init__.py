"""From raw DeepFashion2 files to validated records."""
