"""Garments in videos: frames read and written, a number for each garment from frame to frame, landmarks made smooth."""
