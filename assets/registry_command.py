"""Runs a command of the model registry for an asset, as a process that cannot outlive the run."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from assets.dvc.repro import run_guarded
from assets.dvc_asset import RETRIES, RETRY_SECONDS
from deepmark.tracking.dagster_events import RUN_VARIABLE

COMMAND = ("deepmark",)


def registry_facts(context: dg.AssetExecutionContext, workspace: Path, *words: str) -> dict[str, Any]:
    """The facts that `deepmark WORDS` writes, also where it refuses a promotion.

    An error of the command fails the step for good. A command that was killed, or ran out of memory, is tried again.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "facts.json"
        command, env = [*COMMAND, *words, "--out", str(file)], {RUN_VARIABLE: context.run.run_id}
        status, lines = run_guarded(command, workspace, env, context.log.info)
        if file.is_file():
            return json.loads(file.read_text("utf-8"))
    if status == 1:
        raise dg.Failure(description="\n".join(lines[-20:]), allow_retries=False)
    raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS)
