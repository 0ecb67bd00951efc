"""Asset checks, for data and for models."""
