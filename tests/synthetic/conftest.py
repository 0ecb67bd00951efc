from importlib.util import find_spec
from pathlib import Path

import pytest
from workspaces import made_once

from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.synthetic import draw_dataset

IMAGES = 90
"""45 pairs: every category leads at least one."""


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 90 training and 8 validation images."""
    return made_once(
        tmp_path_factory,
        "drawn",
        lambda folder: draw_dataset(folder / "raw", train=IMAGES, validation=8, seed=5, engine=Local(1)),
    ).joinpath("raw")


@pytest.fixture(scope="session")
def rendering() -> None:
    """Skips tests where images cannot be rendered."""
    for module in ("anny", "moderngl"):
        if find_spec(module) is None:
            pytest.skip("the extra synth3d is not installed")
    from deepmark.synthetic.rendered.scene import prepare

    try:
        prepare()
    except DeepmarkError as error:
        pytest.skip(f"no OpenGL without a screen: {error}")
