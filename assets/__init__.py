"""The assets that Dagster shows, one module a group; dvc.yaml says how they depend on each other."""
