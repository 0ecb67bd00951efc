"""Maps to decode: noise, those of a plausible network, and those of a perfect one."""

from dataclasses import fields, replace

import numpy as np
import torch
from jaxtyping import Float
from layouts import SEPARATE, layout_of
from torch import Tensor

from deepmark import geometry
from deepmark.model.heads import HeadMaps, head_channels
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.train.gaussians import Peaks, draw_cells
from deepmark.train.targets import Targets, collate, make_targets
from deepmark.types import Sample
from deepmark.vocabulary import DEEPFASHION2, Vocabulary


def noise_maps(
    seed: int, *, pictures: int = 1, size: tuple[int, int] = (24, 20), layout: LandmarkLayout = SEPARATE
) -> HeadMaps:
    """Random maps, with logits high enough for far too many peaks."""
    rng = np.random.default_rng(seed)
    spread = {"size": (8, 3), "center_offset": (0.5, 0.2), "landmark_offset": (0.5, 0.2), "landmark_vectors": (0, 4)}
    arrays = {n: rng.normal(*spread.get(n, (-2, 2)), (pictures, c, *size)) for n, c in head_channels(layout).items()}
    return HeadMaps(**{name: torch.tensor(array, dtype=torch.float32) for name, array in arrays.items()})


def realistic_maps(seed: int, *, garments: int = 12, side: int = 128) -> HeadMaps:
    """Maps of an image with garments: weak background, a hill at every centre and landmark, inexact vectors."""
    rng = np.random.default_rng(seed)
    maps = noise_maps(seed, size=(side, side))
    maps.center_heatmap.mul_(0.25).sub_(4.5)
    maps.landmark_heatmap.mul_(0.25).sub_(4.5)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def raise_hill(heatmap: torch.Tensor, at_x: float, at_y: float) -> None:
        heatmap.copy_(torch.maximum(heatmap, 3 - ((x - at_x) ** 2 + (y - at_y) ** 2) / 4))

    for _ in range(garments):
        category = DEEPFASHION2.categories[rng.integers(len(DEEPFASHION2.categories))]
        width, height = rng.uniform(side / 10, side / 2, 2)
        column, row = (int(rng.uniform(extent / 2, side - extent / 2)) for extent in (width, height))
        raise_hill(maps.center_heatmap[0, category.index], column, row)
        maps.size[0, :, row, column] = torch.tensor([width, height])
        for number, (u, v) in enumerate(category.shape.points, category.start):
            point = column + (u - 0.5) * width, row + (v - 0.5) * height
            raise_hill(maps.landmark_heatmap[0, number], *point)
            vector = np.array(point) - (column, row) + rng.normal(0, 1, 2)
            maps.landmark_vectors[0, 2 * number : 2 * number + 2, row, column] = torch.tensor(vector)
    return maps


def draw_heatmap(peaks: Peaks, *, shape: tuple[int, int, int, int]) -> Float[Tensor, "b c h w"]:
    """The perfect heatmaps: Gaussians around the peaks, the maximum where several overlap, 0 elsewhere."""
    cells = draw_cells(peaks, shape[2:])
    heatmap = cells.value.new_zeros(shape)
    index = ((cells.image * shape[1] + cells.channel) * shape[2] + cells.y) * shape[3] + cells.x
    heatmap.view(-1).scatter_reduce_(0, index, cells.value, "amax")
    return heatmap


def ideal_maps(targets: Targets, layout: LandmarkLayout = SEPARATE) -> HeadMaps:
    """The output of a perfect network: exact at peaks, empty elsewhere.

    Landmarks that share a cell share the middle of their offsets, the best one map can do for all.
    """
    pictures, height, width = targets.maps
    maps = HeadMaps(**{name: torch.zeros(pictures, c, height, width) for name, c in head_channels(layout).items()})
    centers, landmarks = targets.centers, targets.landmarks_on(layout)
    for peaks, name in ((centers, "center_heatmap"), (landmarks, "landmark_heatmap")):
        heat = draw_heatmap(peaks, shape=tuple(getattr(maps, name).shape))
        getattr(maps, name).copy_(heat.clamp(1e-6, 1 - 1e-6).logit())
    maps.size[centers.image, :, centers.y, centers.x] = targets.sizes
    maps.center_offset[centers.image, :, centers.y, centers.x] = centers.offset
    owner = targets.landmark_garment
    for axis in (0, 1):
        at = centers.image[owner], 2 * landmarks.channel + axis, centers.y[owner], centers.x[owner]
        maps.landmark_vectors[at] = targets.landmark_vectors[:, axis]
        cells = (landmarks.image * height + landmarks.y) * width + landmarks.x
        low, high = (
            torch.zeros(pictures * height * width).scatter_reduce_(
                0, cells, landmarks.offset[:, axis], extreme, include_self=False
            )
            for extreme in ("amin", "amax")
        )
        maps.landmark_offset[:, axis] = ((low + high) / 2).reshape(pictures, height, width)
    return maps


def drawn_sample(
    garments: list[tuple[int, tuple[float, float, float, float]]],
    canvas: tuple[int, int],
    affine: np.ndarray,
    vocabulary: Vocabulary = DEEPFASHION2,
) -> Sample:
    """A sample with garments in the shape of the vocabulary's figures: (category, box in pixels of the canvas) each."""
    boxes = np.array([box for _, box in garments], np.float32).reshape(-1, 4)
    landmarks = np.zeros((len(garments), vocabulary.most_landmarks, 3), np.float32)
    for i, (category, (x0, y0, x1, y1)) in enumerate(garments):
        own = vocabulary.categories[category]
        figure = np.array(own.shape.points)[: own.landmarks].reshape(-1, 2)
        points = (0.98 * figure + 0.01) * (x1 - x0, y1 - y0) + (x0, y0)
        inside = ((points >= 0) & (points < canvas[::-1])).all(axis=1)
        landmarks[i, : len(points)][inside] = np.column_stack([points, np.full(len(points), 2)])[inside]
    return Sample(
        image=np.zeros((*canvas, 3), np.uint8),
        boxes=geometry.clip_boxes(boxes, canvas),
        categories=np.array([category for category, _ in garments], np.int64),
        landmarks=landmarks,
        affine=affine,
    )


def mirrored_sample(sample: Sample) -> Sample:
    """The mirrored sample, with landmark pairs swapped."""
    width = sample.image.shape[1]
    boxes = sample.boxes.copy()
    boxes[:, [2, 0]] = width - sample.boxes[:, [0, 2]]
    landmarks = np.zeros_like(sample.landmarks)
    for i, category in enumerate(DEEPFASHION2.categories[c] for c in sample.categories):
        landmarks[i, : category.landmarks] = sample.landmarks[i, list(category.mirror)]
    landmarks[..., 0] = np.where(landmarks[..., 2] > 0, width - landmarks[..., 0], 0)
    affine = geometry.mirrored(sample.affine, width)
    return Sample(
        image=sample.image[:, ::-1], boxes=boxes, categories=sample.categories, landmarks=landmarks, affine=affine
    )


def ideal_maps_of(samples: list[Sample], layout: LandmarkLayout = SEPARATE) -> HeadMaps:
    return ideal_maps(make_targets(collate(samples), layout.vocabulary), layout)


def ungrouped(maps: HeadMaps) -> HeadMaps:
    """Maps of 294 landmarks, in which landmarks of a group have equal maps."""
    channel = torch.tensor(layout_of(maps).channel_of)
    vectors = torch.stack([2 * channel, 2 * channel + 1], dim=1).flatten()
    return replace(
        maps,
        landmark_heatmap=maps.landmark_heatmap[:, channel],
        landmark_vectors=maps.landmark_vectors[:, vectors],
    )


def channels_last(maps: HeadMaps) -> HeadMaps:
    return HeadMaps(
        **{f.name: getattr(maps, f.name).contiguous(memory_format=torch.channels_last) for f in fields(maps)}
    )


def picture_of(maps: HeadMaps, number: int) -> HeadMaps:
    """One image of the batch, as a batch of one."""
    return HeadMaps(**{f.name: getattr(maps, f.name)[number : number + 1] for f in fields(maps)})
