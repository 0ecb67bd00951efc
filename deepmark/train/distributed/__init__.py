"""Processes and machines that train together: launch, rendezvous, process group, lost machines."""
