"""The command line: one command per stage, and those of COCO files, the registry and the demo."""
