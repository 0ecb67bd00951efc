"""dvc.yaml as a graph, and running its stages; knows nothing of Dagster."""
