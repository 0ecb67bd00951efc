"""From the network's maps to garments: centre peaks, their boxes and landmarks, in pixels of the original picture.

The published way computes a probability for each of 294 x 128 x 128 cells, the 100 best peaks of each of 294 maps, and
all distances between them. The same result comes from the few cells above the landmark threshold and the landmarks of
each garment's own category. Peaks are found on the device of the maps; only peaks travel to the host.

Source: Objects as Points (CenterNet), 2019, sections 3 and 5 (human pose); DeepMark, 2019, section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from deepmark import geometry
from deepmark.model.heads import STRIDE, HeadMaps
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.schema import CATEGORIES, MOST_LANDMARKS
from deepmark.types import Detections

PEAKS_A_LANDMARK = 100
"""Peaks of one landmark's heatmap that may place a landmark (CenterNet's decoding)."""

REACH = 0.3
"""A peak further from the coarse landmark than this share of the box's longer side does not place it (CenterNet's)."""


_OWN = np.array([np.arange(MOST_LANDMARKS) < category.landmarks for category in CATEGORIES])


@cache
def _channels(layout: LandmarkLayout) -> Int64[np.ndarray, "13 39"]:
    """Row c: the channels of the landmarks of category c, where _OWN[c]."""
    channels = np.zeros(_OWN.shape, np.int64)
    channels[_OWN] = layout.channel_of
    return channels


@dataclass(frozen=True, kw_only=True, slots=True)
class _Garments:
    """What stands at the centre peaks of one picture, best first; coordinates in cells."""

    scores: Float32[np.ndarray, " n"]
    categories: Int64[np.ndarray, " n"]
    boxes: Float32[np.ndarray, "n 4"]
    channels: Int64[np.ndarray, "n 39"]
    """Of the landmark maps, where the category has so many landmarks."""

    coarse: Float32[np.ndarray, "n 39 2"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Peaks:
    """The landmark peaks of one picture, a row a channel, strongest first; coordinates in cells.

    Free places are infinitely far away.
    """

    points: Float32[np.ndarray, "c k 2"]
    scores: Float32[np.ndarray, "c k"]


def decode(
    maps: HeadMaps,
    *,
    affines: Sequence[Float[np.ndarray, "2 3"]],
    sizes: Sequence[tuple[int, int]],
    max_detections: int,
    landmark_threshold: float,
) -> list[Detections]:
    """The garments each picture's maps show, best first; at most `max_detections` over all categories.

    `affines` lead from each original picture to the network's input, `sizes` are the originals' (height, width). Boxes
    are clipped to the original. Landmarks are not: a hidden hem may well lie below the picture's border.
    A cell is a peak where it equals the maximum of its 3 x 3 window; of equal peaks the first by row is the stronger.
    """
    garments = _read_garments(maps, max_detections)
    peaks = _read_landmark_peaks(maps, landmark_threshold)
    return [_place(*each) for each in zip(garments, peaks, affines, sizes, strict=True)]


def _host(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _window_maxima(heatmap: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """3 x 3 maxima, one direction after the other: on a CPU a twelfth of the time of max_pool2d."""
    padded = F.pad(heatmap, (1, 1, 1, 1), value=-math.inf)
    rows = torch.maximum(padded[..., :-2], padded[..., 1:-1])
    torch.maximum(rows, padded[..., 2:], out=rows)
    maxima = torch.maximum(rows[..., :-2, :], rows[..., 1:-1, :])
    return torch.maximum(maxima, rows[..., 2:, :], out=maxima)


def _center_cells(logits: Float[Tensor, "b c h w"], most: int) -> tuple[Tensor, Tensor]:
    """Picture and flat cell of the strongest peaks of each picture, best first."""
    pictures, cells = (logits >= _window_maxima(logits)).flatten(1).nonzero(as_tuple=True)
    heights = _host(logits.flatten(1)[pictures, cells])
    bounds = np.searchsorted(_host(pictures), np.arange(len(logits) + 1))
    best = [start + _strongest(heights[start:end], most) for start, end in pairwise(bounds)]
    chosen = torch.from_numpy(np.concatenate(best)).to(logits.device)
    return pictures[chosen], cells[chosen]


def _strongest(heights: Float32[np.ndarray, " n"], most: int) -> Int64[np.ndarray, " k"]:
    """Places of the `most` highest, best first; of equals the first."""
    places = np.arange(len(heights))
    if most < len(heights):
        places = np.flatnonzero(heights >= np.partition(heights, -most)[-most])
    return places[np.argsort(-heights[places], kind="stable")[:most]]


def _read_garments(maps: HeadMaps, most: int) -> list[_Garments]:
    logits = maps.center_heatmap.float().contiguous()
    count, _, height, width = logits.shape
    picture, flat = _center_cells(logits, most)
    category, cell = flat // (height * width), flat % (height * width)
    y, x = cell // width, cell % width
    middle = torch.stack([x, y], dim=1) + maps.center_offset[picture, :, y, x].float()
    half = maps.size[picture, :, y, x].float().clamp(min=0) / 2
    channels = torch.as_tensor(_channels(maps.layout), device=logits.device)[category]
    picture_, y_, x_ = picture[:, None], y[:, None], x[:, None]
    vectors = [maps.landmark_vectors[picture_, 2 * channels + axis, y_, x_].float() for axis in (0, 1)]
    scores = logits.flatten(1)[picture, flat].sigmoid()
    boxes = torch.cat([middle - half, middle + half], dim=1)
    columns = (scores, category, boxes, channels, middle[:, None] + torch.stack(vectors, dim=2))
    bounds = np.searchsorted(_host(picture), np.arange(1, count))
    parts = zip(*(np.split(_host(column), bounds) for column in columns), strict=True)
    return [_Garments(scores=s, categories=c, boxes=b, channels=j, coarse=v) for s, c, b, j, v in parts]


def _peaks_above(heatmap: Float[Tensor, "b c h w"], bound: float) -> tuple[Tensor, ...]:
    """Picture, channel, row and column of every 3 x 3 maximum above `bound`.

    Reads in the order of memory, since heads are channels-last where the network is. Windows are looked at around the
    cells above `bound` only; the neighbours in the same row come first, for they rule out most cells.
    """
    order = sorted(range(4), key=heatmap.stride, reverse=True)
    ordered = heatmap.permute(order)
    steps = [math.prod(ordered.shape[order.index(axis) + 1 :]) for axis in range(4)]
    values = ordered.reshape(-1)
    places = _places_above(values, bound)
    for dy, dxs in ((0, (-1, 1)), (-1, (-1, 0, 1)), (1, (-1, 0, 1))):
        row = places + _step(places, dy, steps[2], heatmap.shape[2]) if dy else places
        own = values.index_select(0, places)
        kept = torch.ones_like(places, dtype=torch.bool)
        for dx in dxs:
            kept &= own >= values.index_select(0, row + _step(places, dx, steps[3], heatmap.shape[3]))
        places = places[kept]
    return tuple(places // steps[axis] % heatmap.shape[axis] for axis in range(4))


def _step(places: Int64[Tensor, " p"], by: int, step: int, length: int) -> Int64[Tensor, " p"]:
    """How far in memory a neighbour lies; 0 where it would lie outside the map."""
    at = places // step % length
    return ((at + by).clamp(0, length - 1) - at) * step


def _places_above(values: Float[Tensor, " n"], bound: float) -> Int64[Tensor, " m"]:
    if values.device.type == "cpu":  # where NumPy compares and collects five times faster than torch
        return torch.from_numpy(np.flatnonzero(values.numpy() > np.float32(bound)))
    return (values > bound).nonzero()[:, 0]


def _read_landmark_peaks(maps: HeadMaps, threshold: float) -> list[_Peaks]:
    """The landmark peaks above the threshold in each picture."""
    logits = maps.landmark_heatmap.float()
    picture, channel, y, x = _peaks_above(logits, float(torch.logit(torch.tensor(threshold))))
    points = torch.stack([x, y], dim=1) + maps.landmark_offset[picture, :, y, x].float()
    scores = logits[picture, channel, y, x].sigmoid()
    columns = [_host(column) for column in (picture, channel, scores, y, x, points)]
    order = np.lexsort((columns[4], columns[3], -columns[2], columns[1], columns[0]))
    pictures, channels, heights, _, _, places = (column[order] for column in columns)
    bounds = np.searchsorted(pictures, np.arange(1, len(logits)))
    parts = zip(*(np.split(each, bounds) for each in (channels, places, heights)), strict=True)
    return [_peak_rows(*each, count=logits.shape[1]) for each in parts]


def _peak_rows(
    channels: Int64[np.ndarray, " p"],
    points: Float32[np.ndarray, "p 2"],
    scores: Float32[np.ndarray, " p"],
    *,
    count: int,
) -> _Peaks:
    """The strongest of these peaks, which are in the order of their channels, for each of `count` channels."""
    rank = np.arange(len(channels)) - np.searchsorted(channels, np.arange(count))[channels]
    kept = rank < PEAKS_A_LANDMARK
    row, rank = channels[kept], rank[kept]
    shape = (count, max(1, 1 + int(rank.max(initial=0))))
    rows = _Peaks(points=np.full((*shape, 2), np.inf, np.float32), scores=np.zeros(shape, np.float32))
    rows.points[row, rank], rows.scores[row, rank] = points[kept], scores[kept]
    return rows


def _refine(garments: _Garments, peaks: _Peaks) -> tuple[Float32[np.ndarray, "n 39 2"], Float32[np.ndarray, "n 39"]]:
    """Each coarse landmark moved to the nearest peak of its channel, where that lies in the box and within reach."""
    points, scores, channels = peaks.points, peaks.scores, garments.channels
    apart = points[channels] - garments.coarse[:, :, None]
    distances = np.sqrt(apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1])
    nearest = distances.argmin(axis=2)
    candidates = points[channels, nearest]
    low, high = garments.boxes[:, None, :2], garments.boxes[:, None, 2:]
    reach = np.float32(REACH) * (high - low).max(axis=2)
    taken = ((candidates >= low) & (candidates <= high)).all(axis=2) & (distances.min(axis=2) <= reach)
    taken &= _OWN[garments.categories]
    landmarks = np.where(taken[..., None], candidates, garments.coarse)
    return landmarks, np.where(taken, scores[channels, nearest], np.float32(0))


def _place(garments: _Garments, peaks: _Peaks, affine: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> Detections:
    """The garments in pixels of the original picture."""
    landmarks, landmark_scores = _refine(garments, peaks)
    back = geometry.inverse(affine) @ np.diag([STRIDE, STRIDE, 1.0])
    boxes = geometry.clip_boxes(geometry.apply_to_boxes(back, garments.boxes.astype(np.float64)), size)
    landmarks = geometry.apply(back, landmarks.astype(np.float64)) * _OWN[garments.categories][..., None]
    return Detections(
        boxes=boxes.astype(np.float32),
        scores=garments.scores,
        categories=garments.categories,
        landmarks=landmarks.astype(np.float32),
        landmark_scores=landmark_scores,
    )
