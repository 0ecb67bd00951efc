"""Which channel of the maps shows which landmark.

"separate" gives each of the 294 landmarks a channel of its own. "grouped" gives one to all that are the same part of a
garment, such as the left cuff of tops, outwear and dresses, which leaves 80. No garment has a part twice, so its
landmarks come back by its category.

Source: DeepMark, 2019, section 3 (294); DeepMark++, 2020 (groups of landmarks that mean the same).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deepmark.schema import CATEGORIES, MIRROR, PARTS


@dataclass(frozen=True, kw_only=True, slots=True)
class LandmarkLayout:
    """The channels that landmarks have in heatmaps; in vectors, channel c is x in 2 c and y in 2 c + 1."""

    names: tuple[str, ...]
    """What every channel shows."""

    channel_of: tuple[int, ...]
    """The channel of each of the 294 flat landmarks."""

    mirror: tuple[int, ...]
    """mirror[c] is the channel that c becomes in the mirrored picture."""

    @property
    def channels(self) -> int:
        return len(self.names)


def _layout(names: Sequence[str]) -> LandmarkLayout:
    """Landmarks of one name share a channel; channels are in the order in which names first appear."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    channel_of = tuple(numbers[name] for name in names)
    mirror = {channel: channel_of[MIRROR[landmark]] for landmark, channel in enumerate(channel_of)}
    return LandmarkLayout(
        names=tuple(numbers), channel_of=channel_of, mirror=tuple(mirror[channel] for channel in range(len(numbers)))
    )


SEPARATE = _layout([f"{category.name}, {part}" for category in CATEGORIES for part in category.parts])
GROUPED = _layout(PARTS)

LAYOUTS: dict[str, LandmarkLayout] = {"separate": SEPARATE, "grouped": GROUPED}
"""By their names in params.yaml."""


def layout_with(channels: int) -> LandmarkLayout:
    """The layout of maps with this number of landmark channels: maps need carry nothing beside their values.

    Raises ValueError where no layout has so many.
    """
    for layout in LAYOUTS.values():
        if layout.channels == channels:
            return layout
    raise ValueError(f"no layout has {channels} landmark channels")
