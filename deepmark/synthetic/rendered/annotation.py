"""Writes the annotation of a rendered garment in the format of DeepFashion2."""

from typing import Any

import cv2
import numpy as np

from deepmark.shapes import Int
from deepmark.synthetic.annotate import item_of
from deepmark.synthetic.rendered.cut import is_cloth
from deepmark.synthetic.rendered.garment import Piece, Worn
from deepmark.synthetic.rendered.places import normals_at, positions_of, spots_of
from deepmark.synthetic.rendered.renderer import Layer, Material, Rendered, load_renderer
from deepmark.synthetic.rendered.view import View
from deepmark.synthetic.rendered.wearer import kept, vertices
from deepmark.vocabulary import DEEPFASHION2

_DEPTH_ERROR, _SEAM_ERROR, _BEHIND = 0.02, 0.1, -0.35
"""Metres by which a landmark may lie behind what is seen at its pixel and still be seen itself: anywhere, and where the
cloth turns away from the camera by no more than 20 degrees, as at side seams. People label these on the outline."""


def annotate(number: int, worn: Worn, view: View, rendered: Rendered) -> dict[str, Any] | None:
    """One item of the JSON file; None if too little of the garment is visible.

    Its box and its outline are those of the whole garment in the image, as in the drawn style.
    """
    alone = load_renderer().silhouette([_whole(piece) for piece in worn.pieces], view.matrix, view.size)
    contours, _ = cv2.findContours(alone.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines = [cv2.approxPolyDP(one, 1.0, closed=True)[:, 0] + 0.5 for one in contours if len(one) >= 3]
    seen = int(np.count_nonzero(rendered.numbers == number))
    category = DEEPFASHION2.categories[worn.design.category]
    return item_of(
        view.size,
        category,
        [one for one in outlines if len(one) >= 3],
        share=seen / max(_area(worn, view), 1.0),
        landmarks=read_landmarks(number, worn, view, rendered),
        viewpoint=view.viewpoint,
        style=0,
        labelled=True,
    )


def _whole(piece: Piece) -> Layer:
    """A piece of which nothing is hidden."""
    return Layer(
        number=1,
        vertices=vertices(piece.surface, piece.posed, piece.normals, piece.inside),
        triangles=kept(piece.surface.mesh, piece.inside),
        material=Material(tile=np.zeros((1, 1, 3), np.uint8)),
    )


def _area(worn: Worn, view: View) -> float:
    """Pixels that the side of the cloth before the camera would have in an image without end."""
    total = 0.0
    for piece in worn.pieces:
        cloth, places = is_cloth(piece.inside), view.project(piece.posed)
        corners = piece.surface.mesh.corners
        corners = corners[:, np.logical_and.reduce([cloth.take(one) for one in corners])]
        (ax, bx, cx), (ay, by, cy) = places[:, 0][corners], places[:, 1][corners]
        signed = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        total += float(np.maximum(-signed, 0).sum()) / 2
    return total


def read_landmarks(number: int, worn: Worn, view: View, rendered: Rendered) -> Int[np.ndarray, "k 3"]:
    """x, y and v of every landmark: v is 0 outside the image or in its outermost row or column, 1 if hidden, else 2.

    Left and right are those of the image: from behind, what is on the wearer's other side has the name.
    """
    spots = spots_of(worn)
    if view.from_behind:
        spots = [spots[i] for i in DEEPFASHION2.categories[worn.design.category].mirror]
    points = positions_of(spots)
    projected, facing = view.project(points), view.facing(points, normals_at(spots))
    height, width = view.size
    x, y = np.floor(projected[:, :2]).astype(int).T
    inside = (x >= 1) & (y >= 1) & (x < width - 1) & (y < height - 1)
    x, y = np.where(inside, x, 1), np.where(inside, y, 1)
    near = np.stack([(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
    column, row = near[:, 0], near[:, 1]
    error = np.where(facing > _BEHIND, _SEAM_ERROR, _DEPTH_ERROR)
    if view.thickness < 1:  # pressed normals say nothing about the way to the other side
        error = np.full(len(points), view.thickness * _SEAM_ERROR)
    same = (rendered.numbers[row, column] == number) & (projected[:, 2] < rendered.depth[row, column] + error)
    labelled = np.stack([x, y, np.where(same.any(axis=0), 2, 1)], axis=1)
    return labelled * inside[:, None]
