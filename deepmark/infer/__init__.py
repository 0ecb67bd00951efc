"""Images to detections: prediction, decoding, test-time augmentation, NMS."""
