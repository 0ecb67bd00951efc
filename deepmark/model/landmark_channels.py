"""The assignment of landmarks to channels of the maps.

"separate" gives each landmark of the vocabulary a channel of its own: 294 in DeepFashion2. "grouped" gives one channel
to all landmarks of the same name, such as the left cuff of tops, outwear and dresses; there are 80. No garment has a
name twice, so its category tells which landmark a channel shows.

Source: DeepMark, 2019, section 3 (294); DeepMark++, 2020 (groups of landmarks with the same meaning).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from deepmark.shapes import Bool, Int64
from deepmark.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class LandmarkLayout:
    """The channels of landmarks in heatmaps; in vectors, x of channel c is at 2 c and y at 2 c + 1."""

    vocabulary: Vocabulary
    """Whose landmarks they show."""

    names: tuple[str, ...]
    """What each channel shows."""

    channel_of: tuple[int, ...]
    """The channel of each landmark of the vocabulary's flat list."""

    mirror: tuple[int, ...]
    """mirror[c] is the channel that c becomes in the mirrored image."""

    @property
    def channels(self) -> int:
        return len(self.names)

    @cached_property
    def by_category(self) -> Int64[np.ndarray, "categories k"]:
        """Row c: the channels of the landmarks of category c, and 0 past these."""
        own = self.vocabulary.own_landmarks
        channels = np.zeros(own.shape, np.int64)
        channels[own] = self.channel_of
        return channels

    @cached_property
    def of_category(self) -> Bool[np.ndarray, "categories channels"]:
        """Row c: whether each channel shows a landmark of category c."""
        categories = self.vocabulary.categories
        table = np.zeros((len(categories), self.channels), bool)
        for category in categories:
            table[category.index, list(self.channel_of[category.span])] = True
        return table


def landmark_layout(vocabulary: Vocabulary, landmark_maps: Literal["separate", "grouped"]) -> LandmarkLayout:
    """The layout of this name in params.yaml.

    Landmarks of the same name are grouped where their mirror partners have the same name, too; else no channel would
    be the mirror image of theirs.
    """
    if landmark_maps == "separate":
        names = [f"{category.name}, {part}" for category in vocabulary.categories for part in category.parts]
        return _layout(vocabulary, names, names)
    parts = vocabulary.parts
    return _layout(vocabulary, parts, [(parts[i], parts[j]) for i, j in enumerate(vocabulary.mirror)])


def _layout(vocabulary: Vocabulary, names: Sequence[str], groups: Sequence[Hashable]) -> LandmarkLayout:
    """Landmarks of the same group share a channel; channels are in the order in which groups first appear."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    channel_of = tuple(numbers[group] for group in groups)
    named = dict(zip(channel_of, names, strict=True))
    mirror = {channel: channel_of[vocabulary.mirror[landmark]] for landmark, channel in enumerate(channel_of)}
    channels = range(len(numbers))
    return LandmarkLayout(
        vocabulary=vocabulary,
        names=tuple(named[channel] for channel in channels),
        channel_of=channel_of,
        mirror=tuple(mirror[channel] for channel in channels),
    )
