"""Jobs and runs: their names, the jobs of dvc.yaml, chains of them, and executing runs in this process."""
