from pathlib import Path

import pytest

from deepmark.synthetic import draw_dataset

IMAGES = 90
"""45 pairs: every category leads at least one."""


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 90 training and 8 validation images."""
    out = tmp_path_factory.mktemp("drawn") / "raw"
    draw_dataset(out, train=IMAGES, validation=8, seed=5, workers=1)
    return out
