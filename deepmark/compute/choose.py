"""The engine that params.yaml names."""

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.compute.reported import reported
from deepmark.params import ComputeParams


def engine_of(params: ComputeParams) -> Engine:
    """The engine of the section `compute`. Ray is imported, and its cluster joined, when the first piece is mapped."""
    if params.engine == "ray":
        from deepmark.compute.ray_engine import Ray

        return reported(Ray(params))
    return reported(Local(params.workers))
