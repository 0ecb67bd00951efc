"""Everything of Dagster that it does not document: its private modules, the tags it writes, sentences in its logs.

Read in `VERSION`. When Dagster is raised, read this file again; nothing else of the product imports `dagster._…`.
"""

from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

__all__ = ["CheckRunHealthResult", "DefaultRunLauncher", "WorkerStatus"]

VERSION = "1.13.27"

OWN_TAGS = (".dagster/", "dagster/")
"""Prefixes of the tags of a run that Dagster sets itself."""

PARTITION_TAG = "dagster/partition"
"""Of a run: its partition."""

MAX_RETRIES_TAG = "dagster/max_retries"
"""Of a run: how often the daemon starts it again when its process was killed."""

WILL_RETRY_TAG = "dagster/will_retry"
"""Of a failed run: "true" where the daemon starts it again."""

DATA_VERSION_TAG = "dagster/data_version"
"""Of a materialization or an observation."""

INPUT_DATA_VERSION_TAG = "dagster/input_data_version/"
"""Of a materialization, followed by the key of an asset upstream: the version of it that was used."""

RETRY_DROPPED = "Failed to retry run"
"""The event that the daemon writes to a run that it could not start again; it does not try a second time."""

INTERRUPTIONS = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")
"""The error classes of a step that Ctrl-C or a termination ended; Dagster reports them as a failure of the step."""


def postgres_error() -> type[Exception]:
    """What Dagster raises where it cannot use its Postgres; needs the package dagster-postgres."""
    from dagster_postgres.utils import DagsterPostgresException

    return DagsterPostgresException
