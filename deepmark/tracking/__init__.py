"""MLflow runs, provenance of results, and messages to Dagster's event log."""
