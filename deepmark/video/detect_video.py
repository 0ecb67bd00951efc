"""Detections in a video or from a camera: garments with numbers and smooth landmarks, as JSON lines and as a video."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.draw import Drawn, draw
from deepmark.files import new_file
from deepmark.progress import progress
from deepmark.schema import SHOWN_SCORE
from deepmark.shapes import Int64, UInt8
from deepmark.types import Detections
from deepmark.video.read_video import Frame, VideoReader
from deepmark.video.smooth import LandmarkSmoother
from deepmark.video.track import Tracker
from deepmark.video.write_video import VideoWriter

ImageDetector = Callable[[UInt8[np.ndarray, "h w 3"]], Detections]
"""What finds the garments of a frame, such as what `load_detector` gives, with `track.UNSURE_SCORE` as its least score:
unsure detections continue tracks, and are never shown alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedFrame:
    """A frame with the garments that have a number."""

    frame: Frame
    tracks: Int64[np.ndarray, " n"]
    """The number of each garment, from 1, the same in all frames it is seen in."""

    detections: Detections

    def as_dict(self) -> dict[str, Any]:
        """In plain names and numbers, for a line of JSON; times in seconds."""
        garments = [
            {"track": track, **garment}
            for track, garment in zip(self.tracks.tolist(), self.detections.as_dicts(), strict=True)
        ]
        return {"frame": self.frame.index, "time": round(self.frame.time, 6), "garments": garments}

    def drawn(self) -> UInt8[np.ndarray, "_ _ 3"]:
        """The frame with its garments drawn, each with its number; small frames come back enlarged."""
        found, garments = self.detections, []
        for row, category in reversed(list(enumerate(found.each_category))):
            own = slice(0, category.landmarks)
            garments.append(
                Drawn(
                    category=category,
                    label=f"{self.tracks[row]}  {category.name} {found.scores[row]:.2f}",
                    box=found.boxes[row].astype(np.float64),
                    points=found.landmarks[row, own].astype(np.float64),
                    placed=np.ones(category.landmarks, bool),
                    seen=found.landmark_scores[row, own] > 0,
                )
            )
        return draw(self.frame.image, garments)


def track_garments(
    frames: Iterable[Frame], detector: ImageDetector, *, min_score: float = SHOWN_SCORE, smooth: bool = True
) -> Iterator[TrackedFrame]:
    """The garments of each frame with their numbers. A garment has one once it is found in two frames.

    Detections of at least `min_score` start a track; those of lower scores, down to `track.UNSURE_SCORE`, continue one.
    """
    tracker, smoother = Tracker(sure_score=min_score), LandmarkSmoother()
    for frame in frames:
        detections = detector(frame.image)
        rows, tracks = tracker(detections)
        kept = detections[rows]
        if smooth:
            kept = smoother(kept, tracks, frame.time)
        yield TrackedFrame(frame=frame, tracks=tracks, detections=kept)


def detect_video(
    source: str | Path,
    detector: ImageDetector,
    *,
    min_score: float = SHOWN_SCORE,
    smooth: bool = True,
    draw_to: Path | None = None,
    out: Path | None = None,
    on_frame: Callable[[TrackedFrame], None] = lambda tracked: None,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Detect in a video file, or with the camera of this number; returns frames, garments, seconds, frames a second.

    `draw_to` is a file for the video with garments drawn, `out` one for JSON lines, a line for each frame. They appear
    when the video ends; that of a camera ends with Ctrl-C. `note` is called with what is to be told of the video.

    Raises DeepmarkError where the source cannot be read.
    """
    numbers: set[int] = set()
    count, start = 0, time.monotonic()
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        lines = stack.enter_context(stack.enter_context(new_file(out)).open("w", encoding="utf-8")) if out else None
        video = _writer(stack, draw_to, reader.rate) if draw_to else None
        advance = stack.enter_context(progress("frames", reader.frames))
        stack.enter_context(suppress(KeyboardInterrupt) if reader.camera is not None else nullcontext())
        for tracked in track_garments(reader, detector, min_score=min_score, smooth=smooth):
            if lines:
                lines.write(json.dumps(tracked.as_dict()) + "\n")
            if video:
                video.write(tracked.drawn(), tracked.frame.time)
            on_frame(tracked)
            numbers.update(tracked.tracks.tolist())
            count += 1
            advance(1)
    seconds = time.monotonic() - start
    if reader.damaged:
        note(f"{source}: {reader.damaged} pieces of it are damaged, and were left out")
    if reader.frames - count > 1 + reader.damaged:
        note(f"{source}: {count} of {reader.frames} frames could be read; it is cut off or damaged")
    return {"frames": count, "garments": len(numbers), "seconds": seconds, "frames_a_second": count / seconds}


def _writer(stack: ExitStack, path: Path, rate: Fraction) -> VideoWriter:
    draft = stack.enter_context(new_file(path))
    return stack.enter_context(VideoWriter(draft, rate=rate))
