"""Tracking and smoothing on drawn clips whose truth is known: identity switches, jitter, error, lag, frames a second.

Detections are the truth with noise, and those of a model if one is given.

    python benchmarks/video.py --model runs/demo/data/checkpoint/model.safetensors
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from deepmark import load_detector
from deepmark.progress import progress
from deepmark.synthetic.clip import RATE, ClipFrame, draw_clip
from deepmark.types import Detections
from deepmark.video.detect_video import TrackedFrame, detect_video, track_garments
from deepmark.video.read_video import Frame
from deepmark.video.track import UNSURE_SCORE
from deepmark.video.write_video import VideoWriter
from deepmark.vocabulary import DEEPFASHION2

_NOISE, _BOX_NOISE = 0.01, 0.02
"""Standard deviations of landmarks and corners of boxes, in roots of the area of the box."""

_MISSED, _FALSE, _UNSURE = 0.05, 0.05, 0.1
"""Shares of garments that are not found, of frames with a false detection, and of garments with a score below .3."""


class NoisyTruth:
    """A detector that knows the truth of the clip, and gives it with noise, one frame after the other."""

    def __init__(self, frames: list[ClipFrame], seed: int) -> None:
        self.frames = iter(frames)
        self.rng = np.random.default_rng(seed)

    def __call__(self, image: np.ndarray) -> Detections:
        rng, garments = self.rng, next(self.frames).truth["garments"]
        found = [self.noisy(one) for one in garments if rng.random() >= _MISSED]
        if garments and rng.random() < _FALSE:
            box, category, landmarks, _ = self.noisy(garments[0])
            shift = rng.uniform(60, 200)
            found.append((box + shift, category, landmarks + shift, rng.uniform(0.3, 0.6)))
        found.sort(key=lambda one: -one[3])
        count = len(found)
        return Detections(
            boxes=np.array([one[0] for one in found], np.float32).reshape(count, 4),
            scores=np.array([one[3] for one in found], np.float32),
            categories=np.array([one[1] for one in found], np.int64),
            landmarks=np.array([one[2] for one in found], np.float32).reshape(count, DEEPFASHION2.most_landmarks, 2),
            landmark_scores=np.full((count, DEEPFASHION2.most_landmarks), 0.8, np.float32),
        )

    def noisy(self, garment: dict[str, Any]) -> tuple[np.ndarray, int, np.ndarray, float]:
        rng, box = self.rng, np.array(garment["box"], float)
        size = np.sqrt((box[2:] - box[:2]).prod())
        points = np.array(list(garment["landmarks"].values()))[:, :2]
        landmarks = np.zeros((DEEPFASHION2.most_landmarks, 2))
        landmarks[: len(points)] = points + rng.normal(0, _NOISE * size, points.shape)
        score = rng.uniform(0.12, 0.28) if rng.random() < _UNSURE else rng.uniform(0.6, 0.95)
        category = DEEPFASHION2.by_name[garment["category"]].index
        return box + rng.normal(0, _BOX_NOISE * size, 4), category, landmarks, score


def joined(truth: dict[str, Any], tracked: TrackedFrame) -> Iterator[tuple[dict[str, Any], int]]:
    """Each garment of the truth with the row of its category that overlaps it most, by half or more."""
    boxes = tracked.detections.boxes.astype(np.float64)
    for garment in truth["garments"]:
        box = np.array(garment["box"], float)
        shared = (np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])).clip(0).prod(axis=1)
        overlap = shared / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared)
        overlap = np.where(tracked.detections.categories == DEEPFASHION2.by_name[garment["category"]].index, overlap, 0)
        if len(overlap) and overlap.max() >= 0.5:
            yield garment, int(overlap.argmax())


def figures(frames: list[ClipFrame], tracked: list[TrackedFrame]) -> dict[str, float]:
    """Switches of identity, share found, and of visible landmarks: jitter, error (% of the box's root) and lag."""
    last, switches, found, total = {}, 0, 0, 0
    errors: dict[int, dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for index, (frame, result) in enumerate(zip(frames, tracked, strict=True)):
        total += len(frame.truth["garments"])
        for garment, row in joined(frame.truth, result):
            found += 1
            identity, track = garment["identity"], int(result.tracks[row])
            switches += last.get(identity, track) != track
            last[identity] = track
            truth = np.array(list(garment["landmarks"].values()), float)
            box = np.array(garment["box"], float)
            size = np.sqrt((box[2:] - box[:2]).prod())
            own = result.detections.landmarks[row, : len(truth)].astype(np.float64)
            seen = truth[:, 2] == 2
            errors.setdefault(identity, {})[index] = ((own - truth[:, :2]) / size, truth[:, :2] / size, seen)
    steps, distances, motion, lagging = [], [], [], []
    for by_frame in errors.values():
        for index, (error, points, seen) in by_frame.items():
            distances.append(np.hypot(*error[seen].T))
            if index - 1 in by_frame:
                before, places, also = by_frame[index - 1]
                both = seen & also
                steps.append(np.hypot(*(error - before)[both].T))
                velocity = (points - places)[both]
                motion.append((velocity**2).sum())
                lagging.append(-(error[both] * velocity).sum())
    return {
        "switches": switches,
        "found": found / total,
        "jitter": 100 * float(np.sqrt(np.mean(np.concatenate(steps) ** 2))),
        "error": 100 * float(np.concatenate(distances).mean()),
        "lag": float(np.sum(lagging) / np.sum(motion)),
    }


def tracked_garments(frames: list[ClipFrame], detector, *, smooth: bool) -> tuple[list[TrackedFrame], float]:
    images = [Frame(index=one.truth["frame"], time=one.truth["time"], image=one.image) for one in frames]
    start = time.perf_counter()
    tracked = list(track_garments(images, detector, smooth=smooth))
    return tracked, len(frames) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=150)
    arguments = parser.parse_args()
    model = load_detector(arguments.model, min_score=UNSURE_SCORE) if arguments.model else None
    rows: dict[tuple[str, bool], list[dict[str, float]]] = {}
    with progress("draw and track", arguments.clips) as advance:
        for seed in range(1, arguments.clips + 1):
            frames = list(draw_clip(seed=seed, frames=arguments.frames))
            for smooth in (False, True):
                kinds = {"truth with noise": NoisyTruth(frames, seed)} | ({"the model": model} if model else {})
                for name, detector in kinds.items():
                    tracked, rate = tracked_garments(frames, detector, smooth=smooth)
                    rows.setdefault((name, smooth), []).append(figures(frames, tracked) | {"rate": rate})
            advance(1)
    print(f"{arguments.clips} clips of {arguments.frames} frames, two garments each\n")
    print("| detections | landmarks | found, % | switches | jitter, % | error, % | lag, frames | frames a second |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for (name, smooth), found in sorted(rows.items(), reverse=True):
        mean = {key: np.mean([one[key] for one in found]) for key in found[0]}
        switches = sum(int(one["switches"]) for one in found)
        accuracy = f"{mean['jitter']:.2f} | {mean['error']:.2f} | {mean['lag']:.2f} | {mean['rate']:,.0f}"
        landmarks = "smooth" if smooth else "as detected"
        print(f"| {name} | {landmarks} | {100 * mean['found']:.1f} | {switches} | {accuracy} |")
    if model:
        whole(frames, model)


def whole(frames: list[ClipFrame], model) -> None:
    """From a file to JSON lines, and with a drawn video beside them."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        with VideoWriter(clip, rate=Fraction(RATE)) as writer:
            for frame in frames:
                writer.write(frame.image, frame.truth["time"])
        lines = detect_video(clip, model, out=Path(folder, "tracks.jsonl"))
        drawn = detect_video(clip, model, out=Path(folder, "tracks.jsonl"), draw_to=Path(folder, "drawn.mp4"))
    print(f"\nFrom file to JSON lines {lines['frames_a_second']:.1f} frames a second, with a drawn video ", end="")
    print(f"{drawn['frames_a_second']:.1f}.")


if __name__ == "__main__":
    main()
