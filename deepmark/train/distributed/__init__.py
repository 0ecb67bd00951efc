"""Training on several processes and machines: launch, rendezvous, process group, watchdog for lost machines."""
