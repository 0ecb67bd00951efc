"""Schedule, sensors and freshness policies."""
