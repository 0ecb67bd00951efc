"""The predictions of a model for the validation images of a workspace, by its section predict, where it computes."""

from pathlib import Path

from deepmark.compute.choose import engine_of
from deepmark.infer.predict_file import Predicted, predict_file
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace


def predict_validation(workspace: Workspace, model: Path, out: Path, *, strategy: str, run_id: str) -> Predicted:
    """Write the predictions of a checkpoint or an exported file to `out`; returns what that took.

    Parts are kept below the workspace's runs/ until all are made, also where `out` lies elsewhere.

    Raises DeepmarkError where the model or a shard cannot be read, or the model lacks the strategy.
    """
    return predict_file(
        model,
        open_shards(workspace, "validation"),
        out,
        strategy=strategy,
        params=workspace.params.predict,
        run_id=run_id,
        engine=engine_of(workspace.params.compute),
        parts=workspace.parts,
    )
