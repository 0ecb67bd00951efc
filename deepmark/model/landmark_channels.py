"""The assignment of landmarks to channels of the maps.

"separate" gives each of the 294 landmarks a channel of its own. "grouped" gives one channel to all landmarks that are
the same part of a garment, such as the left cuff of tops, outwear and dresses; there are 80. No garment has a part
twice, so its category tells which landmark a channel shows.

Source: DeepMark, 2019, section 3 (294); DeepMark++, 2020 (groups of landmarks with the same meaning).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deepmark.schema import CATEGORIES, MIRROR, PARTS


@dataclass(frozen=True, kw_only=True, slots=True)
class LandmarkLayout:
    """The channels of landmarks in heatmaps; in vectors, x of channel c is at 2 c and y at 2 c + 1."""

    names: tuple[str, ...]
    """What each channel shows."""

    channel_of: tuple[int, ...]
    """The channel of each of the 294 flat landmarks."""

    mirror: tuple[int, ...]
    """mirror[c] is the channel that c becomes in the mirrored image."""

    @property
    def channels(self) -> int:
        return len(self.names)


def _layout(names: Sequence[str]) -> LandmarkLayout:
    """Landmarks of the same name share a channel; channels are in the order in which names first appear."""
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
    """The layout of maps with this number of landmark channels, so that maps need no label of their layout.

    Raises ValueError where no layout has this number.
    """
    for layout in LAYOUTS.values():
        if layout.channels == channels:
            return layout
    raise ValueError(f"no layout has {channels} landmark channels")
