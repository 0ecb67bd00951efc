"""The detector as an MLflow model."""
