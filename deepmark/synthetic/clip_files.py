"""Writes the files of a drawn clip: clip.mp4, and truth.jsonl with a line for each frame."""

import json
from collections.abc import Callable
from fractions import Fraction
from os import PathLike

from deepmark.errors import DeepmarkError, as_path
from deepmark.files import new_file
from deepmark.synthetic.clip import FEWEST, RATE, draw_clip
from deepmark.synthetic.dataset import claim
from deepmark.video.write_video import VideoWriter


def draw_clip_files(
    out: str | PathLike[str], *, frames: int, seed: int, progress: Callable[[int], None] = lambda n: None
) -> dict[str, int]:
    """Draw a clip of two walking garments into a folder; returns the number of frames, and of garments in all of them.

    `progress(n)` is called when n more frames are done. Frames and truth depend on seed and number alone, the video's
    bytes also on PyAV.

    Raises DeepmarkError if `out` holds anything but an earlier draw with the same arguments, or a number is too low.
    """
    out = as_path(out, "draw_clip_files: out")
    if not isinstance(seed, int) or seed < 0:
        raise DeepmarkError(f"synth: seed is {seed!r}. Give a whole number, 0 or more.")
    if not isinstance(frames, int) or frames < FEWEST:
        raise DeepmarkError(f"synth: frames is {frames!r}. Give a whole number, {FEWEST} or more.")
    claim(out, {"drawn_by": "deepmark synth --video", "seed": seed, "frames": frames})
    garments = 0
    with (
        new_file(out / "clip.mp4") as video,
        new_file(out / "truth.jsonl") as truth,
        truth.open("w", encoding="utf-8") as lines,
        VideoWriter(video, rate=Fraction(RATE)) as writer,
    ):
        for frame in draw_clip(seed=seed, frames=frames):
            writer.write(frame.image, frame.truth["time"])
            lines.write(json.dumps(frame.truth) + "\n")
            garments += len(frame.truth["garments"])
            progress(1)
    return {"frames": frames, "garments": garments}
