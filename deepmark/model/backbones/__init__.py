"""The networks that compute features from images; `model.detector` builds one by its name."""
