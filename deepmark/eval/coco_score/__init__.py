"""The official COCO figures of a results file against a ground truth file."""
