"""Dagster over DVC: the assets, jobs and runs that dvc.yaml describes."""
