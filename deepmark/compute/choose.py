"""The engine that params.yaml names."""

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.params import ComputeParams


def engine_of(params: ComputeParams) -> Engine:
    """The engine of the section `compute`."""
    return Local(params.workers)
