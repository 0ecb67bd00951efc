"""The real servers over a workspace, as `make ui` starts them, and their GraphQL: a person's buttons."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import free_port
from workspaces import REPOSITORY

LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "pipelines.definitions", repositoryName: "__repository__", jobName: "JOB"}
    mode: "default"
  }) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
CANCEL = 'mutation { terminateRun(runId: "RUN") { __typename } }'
STATUS = '{ runOrError(runId: "RUN") { ... on Run { status } } }'
ASSETS = """
{ assetNodes {
    assetKey { path } groupName description
    assetMaterializations(limit: 1) { metadataEntries {
      __typename label ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr }
    } }
    assetChecksOrError { ... on AssetChecks { checks {
      name executionForLatestMaterialization { status timestamp evaluation { severity description } }
    } } }
} }
"""
LAST = '{ runsOrError(filter: {pipelineName: "JOB"}, limit: 1) { ... on Runs { results { id } } } }'


@dataclass(frozen=True)
class Dagster:
    """A running webserver."""

    url: str

    def ask(self, query: str) -> dict[str, Any]:
        """What GraphQL answers."""
        request = urllib.request.Request(
            f"{self.url}/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]

    def assets(self) -> dict[str, dict[str, Any]]:
        """What is known of each, by name."""
        return {one["assetKey"]["path"][0]: one for one in self.ask(ASSETS)["assetNodes"]}

    def failed_check(self) -> tuple[str, str] | None:
        """The asset and the name of the check that failed last; one that stops goes before all that warn."""
        failed = []
        for asset, known in self.assets().items():
            for check in known["assetChecksOrError"].get("checks", ()):
                last = check["executionForLatestMaterialization"]
                if last and last["status"] == "FAILED":
                    stops = last["evaluation"]["severity"] == "ERROR"
                    failed.append((stops, last["timestamp"], asset, check["name"]))
        return max(failed)[2:] if failed else None

    def last_run(self, job: str) -> str | None:
        """The id of the newest run of a job."""
        runs = self.ask(LAST.replace("JOB", job))["runsOrError"]["results"]
        return runs[0]["id"] if runs else None

    def launch(self, job: str) -> str:
        """The id of a new run."""
        return self.ask(LAUNCH.replace("JOB", job))["launchRun"]["run"]["runId"]

    def cancel(self, run: str) -> None:
        self.ask(CANCEL.replace("RUN", run))

    def status(self, run: str) -> str:
        return self.ask(STATUS.replace("RUN", run))["runOrError"]["status"]


@contextmanager
def running(workspace: Path) -> Iterator[tuple[subprocess.Popen[str], Dagster]]:
    """Dagster and MLflow until the end of the block; nothing of them is left then."""
    ports = {"--dagster-port": free_port(), "--mlflow-port": free_port()}
    command = [sys.executable, "-m", "pipelines.ui", "--workspace", str(workspace)]
    command += [word for name, port in ports.items() for word in (name, str(port))]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            assert lines[-1] == "Ctrl-C ends them.\n", lines
            yield process, Dagster(f"http://127.0.0.1:{ports['--dagster-port']}")
        finally:
            process.terminate()
            process.communicate()
