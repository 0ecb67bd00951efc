"""MLflow's model registry: versions, their history, the gate, promotion and rollback."""
