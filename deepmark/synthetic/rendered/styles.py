"""What images may look like: one set of styles for training images, another for validation images.

A validation image shows fabrics, poses, bodies, grounds and cameras that are rare in training images or missing there.
So what is measured on it says how a model does where it was not taught; no photograph is needed for that.
"""

from dataclasses import dataclass

from deepmark.schema import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Styles:
    """Shares of kinds, and ranges."""

    fabrics: dict[str, float]
    grounds: dict[str, float]
    legs: tuple[float, float, float, float]
    """Standing, walking, with the weight on one leg, sitting."""

    arms: tuple[float, float, float, float, float]
    """Hanging, bent, on the hip, spread, raised."""

    weight: tuple[float, float]
    """Of anny's phenotype."""

    height: tuple[float, float]
    field_of_view: tuple[float, float]
    """Degrees, of the height of an image that shows the person from head to foot."""

    camera_height: tuple[float, float]
    """Metres above the hips."""


TRAINING = Styles(
    fabrics={"plain": 0.34, "melange": 0.14, "stripes": 0.16, "denim": 0.12, "blossoms": 0.12, "clouds": 0.12},
    grounds={"studio": 0.3, "room": 0.5, "gradient": 0.2},
    legs=(0.4, 0.25, 0.28, 0.07),
    arms=(0.5, 0.24, 0.14, 0.1, 0.02),
    weight=(0.25, 0.75),
    height=(0.3, 0.8),
    field_of_view=(22, 45),
    camera_height=(-0.2, 0.7),
)

HELD_OUT = Styles(
    fabrics={"checks": 0.3, "dots": 0.2, "knit": 0.25, "print": 0.25},
    grounds={"street": 0.5, "clutter": 0.5},
    legs=(0.25, 0.25, 0.3, 0.2),
    arms=(0.3, 0.2, 0.2, 0.15, 0.15),
    weight=(0.05, 1.0),
    height=(0.05, 1.0),
    field_of_view=(35, 65),
    camera_height=(-0.5, 1.0),
)


def styles_of(split: str) -> Styles:
    return TRAINING if split == Split.TRAIN else HELD_OUT
