"""The official COCO figures of a ground truth file and a results file."""
