"""Writes frames to a video file: H.264, as browsers and phones play it."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.shapes import UInt8

WRITTEN = frozenset({".mkv", ".mov", ".mp4"})
"""The suffixes of files that are written."""

_TICKS = 90_000
"""Of a second; times of frames are written in it."""

_QUALITY = "20"
"""x264's crf: 18 cannot be told from the original, 23 is its default."""


class VideoWriter:
    """A video file that grows by frames of one size; a context that finishes it."""

    def __init__(self, path: Path, *, rate: Fraction) -> None:
        """Raises DeepmarkError for a file of another suffix than those of `WRITTEN`."""
        import av

        if path.suffix.lower() not in WRITTEN:
            raise DeepmarkError(f"{path}: videos are written as {', '.join(sorted(WRITTEN))}. Name such a file.")
        self._rate = rate
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": _QUALITY, "preset": "veryfast"})
        self._last = -1

    def write(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> None:
        """Add an RGB frame, shown from `time` on, in seconds; an odd row or column at the end is left out."""
        import av

        height, width = (side - side % 2 for side in image.shape[:2])
        if self._last < 0:
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, _TICKS)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        self._last = max(round(time * _TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._last >= 0 and error is None:
            self._container.mux(self._stream.encode())
        self._container.close()
