"""Network output to detections: decoding, test-time augmentation, NMS."""
