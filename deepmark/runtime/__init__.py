"""The exported detector, run by onnxruntime and NumPy alone: no torch, pandas, pyarrow, OpenCV or pydantic."""
