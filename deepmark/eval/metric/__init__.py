"""The official DeepFashion2 metric on arrays, its bootstrap intervals, and paired comparison."""
