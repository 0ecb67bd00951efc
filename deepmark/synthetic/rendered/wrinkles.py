"""The wrinkles that all fabrics have, as a tile of heights."""

import numpy as np

from deepmark.shapes import UInt8


def wrinkle_tile() -> UInt8[np.ndarray, "t t 1"]:
    """Heights of soft wrinkles, which repeat without a seam: noise in few directions, with creases."""
    rng, side = np.random.default_rng(2), 256
    frequencies = np.fft.fftfreq(side) * side
    across, along = np.meshgrid(frequencies, frequencies)
    total = np.zeros((side, side))
    for low, angle, share in ((2.0, 0.5, 1.0), (2.5, -0.7, 0.9), (3.5, 1.3, 0.5), (6.0, 0.2, 0.15)):
        a = across * np.cos(angle) + along * np.sin(angle)
        b = -across * np.sin(angle) + along * np.cos(angle)
        band = np.exp(-(((a - low) / (0.5 * low)) ** 2) - (b / (0.35 * low)) ** 2)
        noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * band).real
        total += share * (1 - np.abs(noise / noise.std()) / 2)
    low_end, high_end = np.percentile(total, (1, 99))
    return (np.clip((total - low_end) / (high_end - low_end), 0, 1) * 255).astype(np.uint8)[..., None]
