"""Tables as values, for the report, the terminal and Dagster."""
