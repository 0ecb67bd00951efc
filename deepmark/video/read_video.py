"""Reads the frames of a video file or a camera: RGB, upright, with their times.

Frames are turned as the file says (a phone held upright stores them lying), and times come from the file, so that a
video of varying speed keeps it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.shapes import UInt8

if TYPE_CHECKING:
    import av

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
"""The files that are taken for videos by their names."""

MAX_PIXELS = 50_000_000
"""Of a frame, as of an image."""

_CAMERA_SIZE = "1280x720"
"""What a camera is asked for; it gives the nearest size that it has."""

_MOST_DAMAGED = 1000
"""Packets; after so many that cannot be decoded the rest of a file is not tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One frame of a video."""

    index: int
    """From 0."""

    time: float
    """Seconds since the first frame."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB, upright."""


def is_video(source: str | Path) -> bool:
    """Whether a path names a video by its suffix, or is the number of a camera."""
    return Path(source).suffix.lower() in SUFFIXES or camera_number(source) is not None


def camera_number(source: str | Path) -> int | None:
    """The number of a camera that a source names, such as "0"; None for anything else."""
    return int(str(source)) if re.fullmatch(r"\d{1,2}", str(source)) else None


class VideoReader:
    """The frames of a video file or a camera, one after the other; a context that closes it."""

    def __init__(self, source: str | Path) -> None:
        """Raises DeepmarkError where there is no such file or camera, or where it holds no video that can be read."""
        self.name = str(source)
        self.camera = camera_number(source)
        self.damaged = 0
        """Frames, or groups of them, that could not be decoded so far."""
        self._container = _open_camera(self.camera) if self.camera is not None else _open_file(Path(source))
        streams = self._container.streams.video
        if not streams:
            kinds = sorted({stream.type for stream in self._container.streams})
            self.close()
            if "audio" not in kinds:
                raise _unreadable(self.name, "no frame in it")
            raise DeepmarkError(f"{self.name}: holds no video, only {' and '.join(kinds)}. Name a video.")
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            self.close()
            raise DeepmarkError(
                f"{self.name}: frames of {width} x {height} pixels are too large, for {MAX_PIXELS / 1e6:g} megapixels "
                "are allowed. Shrink the video first."
            )

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return self._stream.average_rate or self._stream.guessed_rate or Fraction(25)

    @property
    def frames(self) -> int:
        """How many frames the file says it has, or that its duration and rate give; 0 where neither is known."""
        if self.camera is not None:
            return 0
        if self._stream.frames:
            return self._stream.frames
        seconds = (self._container.duration or 0) / 1_000_000
        return round(seconds * float(self.rate))

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames from the first on; those that cannot be decoded are counted in `damaged` and left out.

        Raises DeepmarkError where no frame can be decoded.
        """
        start, index = None, 0
        for frame in self._decoded():
            time = float(frame.time) if frame.time is not None else index / float(self.rate)
            start = time if start is None else start
            yield Frame(index=index, time=time - start, image=_upright(frame))
            index += 1
        if not index:
            raise DeepmarkError(f"{self.name}: no frame of it can be decoded. It is damaged or cut off; copy it again.")

    def _decoded(self) -> Iterator["av.VideoFrame"]:
        from av.error import FFmpegError

        packets = self._container.demux(self._stream)
        while True:
            try:
                frames = next(packets).decode()
            except (StopIteration, EOFError):
                return
            except FFmpegError as error:
                if self.camera is not None:
                    raise DeepmarkError(f"camera {self.camera}: it gives no more frames ({error.strerror}).") from None
                self.damaged += 1
                if self.damaged > _MOST_DAMAGED:
                    return
                continue
            self.damaged += sum(frame.is_corrupt for frame in frames)
            yield from (frame for frame in frames if not frame.is_corrupt)


def _upright(frame: "av.VideoFrame") -> UInt8[np.ndarray, "h w 3"]:
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def _unreadable(name: str, reason: str) -> DeepmarkError:
    return DeepmarkError(f"{name}: no video, or one that is damaged or cut off ({reason}). Copy it again.")


def _open_file(path: Path) -> Any:
    import av
    from av.error import FFmpegError

    if path.is_dir():
        raise DeepmarkError(f"{path}: a folder. Name a video in it.")
    if not path.exists():
        raise DeepmarkError(f"{path}: no such file.")
    try:
        return av.open(str(path.absolute()))
    except FFmpegError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _unreadable(str(path), reason) from None


def _open_camera(number: int) -> Any:
    import av
    from av.error import FFmpegError

    device = Path(f"/dev/video{number}")
    if not device.exists():
        found = ", ".join(sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*")))
        here = (
            f"Here are: {found}." if found else "None is connected, or this is not Linux, where cameras have numbers."
        )
        raise DeepmarkError(f"camera {number}: there is no {device}. {here}")
    try:
        return av.open(str(device), format="v4l2", options={"video_size": _CAMERA_SIZE})
    except FFmpegError as error:
        raise DeepmarkError(
            f"camera {number}: {device} cannot be read ({error.strerror}). Another program may use it, or you may lack "
            "the right to (group video)."
        ) from None
