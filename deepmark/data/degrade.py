"""Lowers the quality of an image as cameras and web sites do, by white balance, blur, noise and JPEG, and hides parts.

Each is a switch of the section `augment`, off at 0, and draws from the random generator only where it is on. Images are
RGB bytes; lengths are pixels of the canvas.
"""

import cv2
import numpy as np

from deepmark.params import AugmentParams
from deepmark.shapes import Float32, UInt8

_PATCH = (0.1, 0.35)
"""The range of a hidden patch's sides, as a share of the square root of its garment's area."""

_VISIBLE, _OCCLUDED = 2, 1


def degrade(
    image: UInt8[np.ndarray, "h w 3"], params: AugmentParams, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """The image as a worse camera and a smaller file would show it, in the order in which these act on light."""
    if params.white_balance:
        image = white_balanced(image, rng.uniform(1 - params.white_balance, 1 + params.white_balance, 2))
    if params.blur:
        image = blurred(image, rng.uniform(0, params.blur))
    if params.noise:
        image = noisy(image, rng.uniform(0, params.noise), rng)
    if params.jpeg:
        image = compressed(image, 100 - int(rng.integers(0, params.jpeg, endpoint=True)))
    return image


def white_balanced(image: UInt8[np.ndarray, "h w 3"], gains: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Red and blue times these gains, green as it is: light of another colour (von Kries' model, 1902)."""
    red, blue = gains.tolist()
    return cv2.transform(image, np.diag([red, 1.0, blue]))


def blurred(image: UInt8[np.ndarray, "h w 3"], sigma: float) -> UInt8[np.ndarray, "h w 3"]:
    """The image out of focus: a Gaussian of this standard deviation, pixels."""
    return cv2.GaussianBlur(image, (0, 0), max(sigma, 1e-3), borderType=cv2.BORDER_REPLICATE)


def noisy(image: UInt8[np.ndarray, "h w 3"], deviation: float, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """The image with Gaussian noise of this standard deviation, grey levels of 0..255, in every value by itself."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(deviation)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def compressed(image: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """The image after a JPEG file of this quality, 0..100, with colours at half resolution as most files have them."""
    _, file = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1])


def hide_landmarks(
    image: UInt8[np.ndarray, "h w 3"],
    boxes: Float32[np.ndarray, "n 4"],
    landmarks: Float32[np.ndarray, "n k 3"],
    share: float,
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "n k 3"]]:
    """The image and the landmarks after a patch of one colour was laid over a landmark of each garment, with
    probability `share`.

    What was visible (v = 2) under a patch is occluded then (v = 1), and is learnt as before. A patch has random sides,
    by the size of its garment. Without labelled landmarks a garment has no patch.
    Source: Random Erasing Data Augmentation, 2017, section 3.2; over keypoints as in Multi-Scale Structure-Aware
    Network for Human Pose Estimation, 2018, section 3.4 (keypoint masking).
    """
    image, landmarks = image.copy(), landmarks.copy()
    for box, points in zip(boxes, landmarks.copy(), strict=True):
        labelled = points[points[:, 2] > 0, :2]
        if rng.random() >= share or not len(labelled):
            continue
        middle = labelled[rng.integers(len(labelled))]
        half = rng.uniform(*_PATCH, 2) * np.sqrt(np.prod(box[2:] - box[:2])) / 2
        low, high = np.maximum(np.rint(middle - half), 0).astype(int), np.maximum(np.rint(middle + half), 0).astype(int)
        image[low[1] : high[1], low[0] : high[0]] = rng.integers(0, 256, 3)
        inside = ((landmarks[..., :2] >= low) & (landmarks[..., :2] < high)).all(axis=2)
        landmarks[..., 2][inside & (landmarks[..., 2] == _VISIBLE)] = _OCCLUDED
    return image, landmarks
