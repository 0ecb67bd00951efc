"""A number for each garment of a video, the same from frame to frame, by ByteTrack's association in two stages.

Detections are joined to the tracks of their own category by the overlap of boxes: first the sure ones, then the unsure
ones to the tracks that are left, so that a garment that is half hidden keeps its number and an unsure detection starts
none. A lost track waits where its motion leads. Pairs are taken greedily, best first: of one category there are few
garments in an image. Source: ByteTrack: Multi-Object Tracking by Associating Every Detection Box, 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from deepmark.shapes import Float64, Int64
from deepmark.types import Detections
from deepmark.video.motion import BoxMotion

UNSURE_SCORE = 0.1
"""Detections of lower scores are not looked at; those between it and the score of sure ones only continue tracks."""

_SURE_IOU, _UNSURE_IOU, _NEW_IOU = 0.2, 0.5, 0.3
"""The least overlap of a detection with the track it continues: ByteTrack's for sure and unsure ones, and for a track
that was seen once."""

_KEPT = 30
"""Frames for which a lost track is looked for; a second of most videos."""


@dataclass(slots=True)
class _Track:
    """One garment."""

    category: int
    motion: BoxMotion
    seen: int
    """The last frame it was seen in."""

    number: int = 0
    """From 1; 0 until it was seen in two frames, for noise is seen once."""


@dataclass(slots=True)
class Tracker:
    """Gives numbers to the garments of one video, whose frames it must see in order."""

    sure_score: float = 0.3
    """Detections of at least this score start tracks."""

    _tracks: list[_Track] = field(default_factory=list)
    _frame: int = -1
    _last_number: int = 0

    def __call__(self, detections: Detections) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]:
        """The rows of the detections that have a number in this frame, in rising order, and their numbers."""
        self._frame += 1
        for track in self._tracks:
            if track.seen < self._frame - 1:
                track.motion.hold_size()
            track.motion.predict()
        sure = np.flatnonzero(detections.scores >= self.sure_score).tolist()
        unsure = np.flatnonzero((detections.scores >= UNSURE_SCORE) & (detections.scores < self.sure_score)).tolist()
        found: dict[int, _Track] = {}
        known = [track for track in self._tracks if track.number]
        found |= self._joined(known, sure, detections, _SURE_IOU)
        recent = [track for track in known if track.seen == self._frame - 1]  # not joined above, or seen is now
        found |= self._joined(recent, unsure, detections, _UNSURE_IOU)
        new = [track for track in self._tracks if not track.number]
        found |= self._joined(new, [row for row in sure if row not in found], detections, _NEW_IOU)
        for row in sure:
            if row not in found:
                found[row] = self._begin(detections, row)
        self._tracks = [track for track in self._tracks if self._is_kept(track)]
        rows = sorted(row for row, track in found.items() if track.number)
        return np.array(rows, np.int64), np.array([found[row].number for row in rows], np.int64)

    def _joined(
        self, tracks: Sequence[_Track], rows: Sequence[int], detections: Detections, least: float
    ) -> dict[int, _Track]:
        """The rows that continue a track, with it; tracks are moved to where they were seen."""
        if not tracks or not rows:
            return {}
        overlaps = _iou(np.stack([track.motion.box for track in tracks]), detections.boxes[rows].astype(np.float64))
        overlaps[np.array([track.category for track in tracks])[:, None] != detections.categories[rows]] = 0
        found: dict[int, _Track] = {}
        while overlaps.max() >= least:
            i, j = divmod(int(overlaps.argmax()), len(rows))
            overlaps[i], overlaps[:, j] = 0, 0
            track = found[rows[j]] = tracks[i]
            track.motion.update(detections.boxes[rows[j]].astype(np.float64))
            track.seen = self._frame
            self._number(track)
        return found

    def _begin(self, detections: Detections, row: int) -> _Track:
        motion = BoxMotion(detections.boxes[row].astype(np.float64))
        track = _Track(category=int(detections.categories[row]), motion=motion, seen=self._frame)
        self._tracks.append(track)
        if self._frame == 0:  # nothing came before, so there is nothing to wait for
            self._number(track)
        return track

    def _number(self, track: _Track) -> None:
        if not track.number:
            self._last_number += 1
            track.number = self._last_number

    def _is_kept(self, track: _Track) -> bool:
        return self._frame - track.seen <= (_KEPT if track.number else 0)


def _iou(a: Float64[np.ndarray, "n 4"], b: Float64[np.ndarray, "m 4"]) -> Float64[np.ndarray, "n m"]:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-9)
