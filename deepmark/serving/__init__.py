"""The detector as a model that MLflow logs and serves."""
