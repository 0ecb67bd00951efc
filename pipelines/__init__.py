"""Dagster over DVC: jobs, runs, schedule, sensors and experiments, and the servers that show them."""
