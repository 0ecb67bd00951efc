"""Decodes the network's maps: centre peaks become garments, with boxes and landmarks in pixels of the original image.

The published decoding computes a probability for each cell of the landmarks' maps (294 x 128 x 128 in DeepFashion2),
the 100 best peaks of each map, and all distances between them. This one computes the same result from the few cells
above the landmark threshold and the landmarks of each garment's own category. Peaks are found on the device of the
maps, and only they are copied to the host.

Source: Objects as Points (CenterNet), 2019, sections 3 and 5 (human pose); DeepMark, 2019, section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deepmark import geometry
from deepmark.model.heads import STRIDE, HeadMaps
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.shapes import Bool, Float, Float32, Int64
from deepmark.types import Detections
from deepmark.vocabulary import Vocabulary

MAX_PEAKS_PER_LANDMARK = 100
"""The strongest peaks of a landmark's heatmap, of which one may place the landmark (CenterNet's decoding)."""

MAX_PEAK_DISTANCE = 0.3
"""The largest distance of a peak from the coarse landmark that it places, as a share of the box's longer side
(CenterNet's decoding)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Garments:
    """The garments at the centre peaks of one image, best first; coordinates in cells."""

    scores: Float32[np.ndarray, " n"]
    categories: Int64[np.ndarray, " n"]
    boxes: Float32[np.ndarray, "n 4"]
    channels: Int64[np.ndarray, "n most"]
    """The channel of each landmark; meaningless in rows past the category's own landmarks."""

    coarse: Float32[np.ndarray, "n most 2"]
    """Landmark positions from the vectors of the centre."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Peaks:
    """The landmark peaks of one image, one row per channel, strongest first; coordinates in cells.

    Unused entries are infinitely far away.
    """

    points: Float32[np.ndarray, "c k 2"]
    scores: Float32[np.ndarray, "c k"]


def decode(
    maps: HeadMaps,
    *,
    layout: LandmarkLayout,
    affines: Sequence[Float[np.ndarray, "2 3"]],
    sizes: Sequence[tuple[int, int]],
    max_detections: int,
    landmark_threshold: float,
    landmark_blend: float = 0.0,
) -> list[Detections]:
    """The garments in each image's maps, best first; at most `max_detections` over all categories.

    `layout` says which landmark each channel shows. `affines` map each original image to the network's input, `sizes`
    are (height, width) of the originals. Boxes are clipped to the original. Landmarks are not: a hidden hem may lie
    below the border of the image.
    A cell is a peak if it equals the maximum of its 3 x 3 window; of equal peaks the first by row counts as stronger.
    A landmark that a peak places goes back the share `landmark_blend`, 0..1, of the way to where its garment's vector
    put it; 0 is CenterNet's decoding.
    """
    garments = _read_garments(maps, layout, max_detections)
    peaks = _read_landmark_peaks(maps, landmark_threshold)
    each = zip(garments, peaks, affines, sizes, strict=True)
    return [_to_detections(layout.vocabulary, *parts, landmark_blend) for parts in each]


def _to_host(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _window_maxima(heatmap: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """3 x 3 maxima, by rows and then by columns: on a CPU this takes a twelfth of the time of max_pool2d."""
    padded = F.pad(heatmap, (1, 1, 1, 1), value=-math.inf)
    rows = torch.maximum(padded[..., :-2], padded[..., 1:-1])
    torch.maximum(rows, padded[..., 2:], out=rows)
    maxima = torch.maximum(rows[..., :-2, :], rows[..., 1:-1, :])
    return torch.maximum(maxima, rows[..., 2:, :], out=maxima)


def center_cells(logits: Float[Tensor, "b c h w"], most: int) -> tuple[Tensor, Tensor]:
    """Image and flat cell of the strongest peaks of each image, best first."""
    images, cells = (logits >= _window_maxima(logits)).flatten(1).nonzero(as_tuple=True)
    heights = _to_host(logits.flatten(1)[images, cells])
    bounds = np.searchsorted(_to_host(images), np.arange(len(logits) + 1))
    best = [start + _strongest(heights[start:end], most) for start, end in pairwise(bounds)]
    chosen = torch.from_numpy(np.concatenate(best)).to(logits.device)
    return images[chosen], cells[chosen]


def _strongest(heights: Float32[np.ndarray, " n"], most: int) -> Int64[np.ndarray, " k"]:
    """Indices of the `most` highest values, best first; of equal values the first."""
    places = np.arange(len(heights))
    if most < len(heights):
        places = np.flatnonzero(heights >= np.partition(heights, -most)[-most])
    return places[np.argsort(-heights[places], kind="stable")[:most]]


def _read_garments(maps: HeadMaps, layout: LandmarkLayout, most: int) -> list[_Garments]:
    logits = maps.center_heatmap.float().contiguous()
    count, _, height, width = logits.shape
    image, flat = center_cells(logits, most)
    category, cell = flat // (height * width), flat % (height * width)
    y, x = cell // width, cell % width
    middle = torch.stack([x, y], dim=1) + maps.center_offset[image, :, y, x].float()
    half = maps.size[image, :, y, x].float().clamp(min=0) / 2
    channels = torch.as_tensor(layout.by_category, device=logits.device)[category]
    image_, y_, x_ = image[:, None], y[:, None], x[:, None]
    vectors = [maps.landmark_vectors[image_, 2 * channels + axis, y_, x_].float() for axis in (0, 1)]
    scores = logits.flatten(1)[image, flat].sigmoid()
    boxes = torch.cat([middle - half, middle + half], dim=1)
    columns = (scores, category, boxes, channels, middle[:, None] + torch.stack(vectors, dim=2))
    bounds = np.searchsorted(_to_host(image), np.arange(1, count))
    parts = zip(*(np.split(_to_host(column), bounds) for column in columns), strict=True)
    return [_Garments(scores=s, categories=c, boxes=b, channels=j, coarse=v) for s, c, b, j, v in parts]


def _peaks_above(heatmap: Float[Tensor, "b c h w"], bound: float) -> tuple[Tensor, ...]:
    """Image, channel, row and column of every 3 x 3 maximum above `bound`.

    Values are read in the order of memory, since the maps of a channels-last network are channels-last too. Windows are
    checked only around the cells above `bound`, neighbours in the same row first, because these rule out most cells.
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
    """The distance of a neighbour in memory; 0 where it would be outside the map."""
    at = places // step % length
    return ((at + by).clamp(0, length - 1) - at) * step


def _places_above(values: Float[Tensor, " n"], bound: float) -> Int64[Tensor, " m"]:
    if values.device.type == "cpu":  # NumPy compares and collects five times faster than torch here
        return torch.from_numpy(np.flatnonzero(values.numpy() > np.float32(bound)))
    return (values > bound).nonzero()[:, 0]


def _read_landmark_peaks(maps: HeadMaps, threshold: float) -> list[_Peaks]:
    """The landmark peaks above the threshold in each image."""
    logits = maps.landmark_heatmap.float()
    image, channel, y, x = _peaks_above(logits, float(torch.logit(torch.tensor(threshold))))
    points = torch.stack([x, y], dim=1) + maps.landmark_offset[image, :, y, x].float()
    scores = logits[image, channel, y, x].sigmoid()
    columns = [_to_host(column) for column in (image, channel, scores, y, x, points)]
    order = np.lexsort((columns[4], columns[3], -columns[2], columns[1], columns[0]))
    images, channels, heights, _, _, places = (column[order] for column in columns)
    bounds = np.searchsorted(images, np.arange(1, len(logits)))
    parts = zip(*(np.split(each, bounds) for each in (channels, places, heights)), strict=True)
    return [_peak_rows(*each, count=logits.shape[1]) for each in parts]


def _peak_rows(
    channels: Int64[np.ndarray, " p"],
    points: Float32[np.ndarray, "p 2"],
    scores: Float32[np.ndarray, " p"],
    *,
    count: int,
) -> _Peaks:
    """The strongest of these peaks, which are sorted by channel, for each of `count` channels."""
    rank = np.arange(len(channels)) - np.searchsorted(channels, np.arange(count))[channels]
    kept = rank < MAX_PEAKS_PER_LANDMARK
    row, rank = channels[kept], rank[kept]
    shape = (count, max(1, 1 + int(rank.max(initial=0))))
    rows = _Peaks(points=np.full((*shape, 2), np.inf, np.float32), scores=np.zeros(shape, np.float32))
    rows.points[row, rank], rows.scores[row, rank] = points[kept], scores[kept]
    return rows


def _refine(
    own: Bool[np.ndarray, "n most"], garments: _Garments, peaks: _Peaks, blend: float
) -> tuple[Float32[np.ndarray, "n most 2"], Float32[np.ndarray, "n most"]]:
    """Move each coarse landmark to the nearest peak of its channel, if that lies in the box and near enough, and then
    the share `blend` of the way back. `own` says which rows the garment's category has."""
    points, scores, channels = peaks.points, peaks.scores, garments.channels
    apart = points[channels] - garments.coarse[:, :, None]
    distances = np.sqrt(apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1])
    nearest = distances.argmin(axis=2)
    candidates = points[channels, nearest]
    low, high = garments.boxes[:, None, :2], garments.boxes[:, None, 2:]
    reach = np.float32(MAX_PEAK_DISTANCE) * (high - low).max(axis=2)
    taken = ((candidates >= low) & (candidates <= high)).all(axis=2) & (distances.min(axis=2) <= reach)
    taken &= own
    landmarks = np.where(taken[..., None], candidates, garments.coarse)
    if blend:
        landmarks += np.float32(blend) * (garments.coarse - landmarks)
    return landmarks, np.where(taken, scores[channels, nearest], np.float32(0))


def _to_detections(
    vocabulary: Vocabulary,
    garments: _Garments,
    peaks: _Peaks,
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    blend: float,
) -> Detections:
    """The garments as detections, in pixels of the original image."""
    own = vocabulary.own_landmarks[garments.categories]
    landmarks, landmark_scores = _refine(own, garments, peaks, blend)
    back = geometry.inverse(affine) @ np.diag([STRIDE, STRIDE, 1.0])
    boxes = geometry.clip_boxes(geometry.apply_to_boxes(back, garments.boxes.astype(np.float64)), size)
    landmarks = geometry.apply(back, landmarks.astype(np.float64)) * own[..., None]
    return Detections(
        boxes=boxes.astype(np.float32),
        scores=garments.scores,
        categories=garments.categories,
        landmarks=landmarks.astype(np.float32),
        landmark_scores=landmark_scores,
        vocabulary=vocabulary,
    )
