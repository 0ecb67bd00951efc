"""The model that comes with DeepMark, in this folder: open.onnx, open.safetensors, and their card open.yaml."""
