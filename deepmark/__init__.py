"""DeepMark: one-shot detection of clothes and their landmarks, from DeepFashion2 to a registered model."""

__version__ = "0.1.0"
