"""What images may look like: one set of styles for training images, another for validation images.

A validation image shows fabrics, poses, bodies, grounds and cameras that are rare in training images or missing there.
So what is measured on it says how a model does where it was not taught; no photograph is needed for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deepmark.errors import DeepmarkError
from deepmark.schema import SPLITS, Split
from deepmark.synthetic.rendered.fabric import FABRICS
from deepmark.synthetic.rendered.floor import FLOORS
from deepmark.synthetic.rendered.ground import GROUNDS

SHOWN = frozenset(("worn", "flat", "hanging"))
"""How an image shows clothes: on a person, or one garment that lies on a ground seen from above, or hangs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Styles:
    """Shares of kinds, and ranges."""

    shown: dict[str, float]
    """Kinds of `SHOWN`."""

    fabrics: dict[str, float]
    grounds: dict[str, float]
    """Behind people and what hangs."""

    surfaces: dict[str, float]
    """Below what lies flat."""

    legs: tuple[float, float, float, float, float, float]
    """Standing, walking, with the weight on one leg, sitting, running, crouching."""

    arms: tuple[float, float, float, float, float, float, float]
    """Hanging, bent, on the hip, spread, raised, overhead, forward."""

    crossed: float
    """Probability that the arms are crossed before the chest, where nothing is carried."""

    lean: float
    """Of the whole body, to the side and forward: standard deviation in degrees."""

    weight: tuple[float, float]
    """Of anny's phenotype."""

    height: tuple[float, float]
    field_of_view: tuple[float, float]
    """Degrees, of the height of an image that shows the person from head to foot."""

    camera_height: tuple[float, float]
    """Metres above the hips."""

    under_outwear: tuple[float, float, float] = (0.7, 0.3, 0.0)
    """Where outwear leads an outfit: over a top, over a dress, over nothing but trousers or a skirt."""

    layered: float = 0.12
    """Probability of outwear where something else leads."""

    tucked: float = 0.4
    """Probability that a top is tucked in."""


TRAINING = Styles(
    shown={"worn": 0.84, "flat": 0.1, "hanging": 0.06},
    fabrics={
        "plain": 0.34,
        "melange": 0.13,
        "stripes": 0.16,
        "denim": 0.12,
        "blossoms": 0.11,
        "clouds": 0.08,
        "leather": 0.06,
    },
    grounds={"studio": 0.3, "room": 0.5, "gradient": 0.2},
    surfaces={"boards": 0.35, "sheet": 0.4, "plain": 0.25},
    legs=(0.36, 0.22, 0.24, 0.07, 0.08, 0.03),
    arms=(0.45, 0.22, 0.13, 0.1, 0.03, 0.03, 0.04),
    crossed=0.04,
    lean=3.0,
    weight=(0.25, 0.75),
    height=(0.3, 0.8),
    field_of_view=(22, 45),
    camera_height=(-0.2, 0.7),
)

HELD_OUT = Styles(
    shown={"worn": 0.84, "flat": 0.08, "hanging": 0.08},
    fabrics={"checks": 0.28, "dots": 0.18, "knit": 0.22, "print": 0.22, "lace": 0.1},
    grounds={"street": 0.5, "clutter": 0.5},
    surfaces={"table": 0.5, "carpet": 0.5},
    legs=(0.2, 0.18, 0.22, 0.18, 0.14, 0.08),
    arms=(0.25, 0.18, 0.17, 0.14, 0.12, 0.07, 0.07),
    crossed=0.08,
    lean=6.0,
    weight=(0.05, 1.0),
    height=(0.05, 1.0),
    field_of_view=(35, 65),
    camera_height=(-0.5, 1.0),
)


STYLES: Mapping[str, Styles] = MappingProxyType({Split.TRAIN: TRAINING, Split.VALIDATION: HELD_OUT})
"""Of each split, where nobody asks for others."""


def check_styles(styles: Mapping[str, Styles]) -> None:
    """Raises DeepmarkError where a split has no styles, or they cannot be sampled."""
    if missing := [split for split in SPLITS if split not in styles]:
        raise DeepmarkError(f"styles: none for {missing[0]}. Give them for {' and '.join(SPLITS)}.")
    for split, one in styles.items():
        kinds_of = {"shown": SHOWN, "fabrics": FABRICS, "grounds": GROUNDS.keys(), "surfaces": FLOORS.keys()}
        for name, kinds in kinds_of.items():
            if unknown := sorted(getattr(one, name).keys() - kinds):
                raise DeepmarkError(
                    f"styles of {split}: {name}: {unknown[0]!r} is no kind. Give shares of {', '.join(sorted(kinds))}."
                )
        shares = {name: list(getattr(one, name).values()) for name in kinds_of}
        shares |= {name: list(getattr(one, name)) for name in ("legs", "arms", "under_outwear")}
        shares |= {name: [getattr(one, name), 1 - getattr(one, name)] for name in ("crossed", "layered", "tucked")}
        for name, values in shares.items():
            if min(values, default=0) < 0 or abs(sum(values) - 1) > 1e-6:
                raise DeepmarkError(f"styles of {split}: {name}: give shares in 0..1 whose sum is 1.")
