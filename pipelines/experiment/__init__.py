"""The job that runs the graph with other parameters, in a copy of the workspace."""
