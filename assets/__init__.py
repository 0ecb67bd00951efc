"""The assets a person sees in Dagster, a module per group; dvc.yaml says how they hang together."""
