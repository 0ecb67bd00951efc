"""A workspace with a champion and a challenger in its registry."""

import shutil

import pytest
from registered import evaluated
from workspaces import copied, made_once, set_params

from deepmark.registry.promote import promote
from deepmark.registry.register import register
from deepmark.registry.versions import CHALLENGER, CHAMPION, Registry
from deepmark.workspace.layout import Workspace


@pytest.fixture(scope="session")
def pair_once(trained_once, tmp_path_factory):
    def make(folder):
        workspace = copied(trained_once, folder)
        shutil.rmtree(workspace.runs)  # the checkpoints of the training, most of the bytes that every copy would copy
        workspace = set_params(workspace, evaluate={"resamples": 20})
        register(evaluated(workspace, finds_every=2))
        promote(workspace)
        register(evaluated(workspace, finds_every=1, seed=7))

    return Workspace(made_once(tmp_path_factory, "pair", make) / "workspace")


@pytest.fixture
def pair(pair_once, tmp_path):
    """Version 1 is the champion and detects the garments of every second image; version 2, the challenger, all."""
    return copied(pair_once, tmp_path)


@pytest.fixture
def worse(pair):
    """The same with champion and challenger exchanged: the challenger, version 1, is worse than the champion."""
    registry = Registry(pair.root)
    registry.set_alias(CHAMPION, 2)
    registry.set_alias(CHALLENGER, 1)
    return pair
