"""What a server takes at most, and how it groups images into batches."""

from dataclasses import dataclass

from deepmark.images import MAX_PIXELS


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of a server; the defaults are those of `deepmark serve`."""

    max_bytes: int = 20_000_000
    """Of a request's body."""

    max_pixels: int = MAX_PIXELS
    """Of an image, read in its header before anything is decoded."""

    max_images: int = 16
    """In a request."""

    max_waiting: int = 64
    """Requests that are being read, wait or are computed; one more is refused with status 429."""

    timeout: float = 30.0
    """Seconds from the first byte of a request to its answer."""

    max_batch: int = 4
    """Images that the network sees together."""

    max_delay: float = 0.005
    """Seconds that the first image of a batch waits for others while the network is idle."""
