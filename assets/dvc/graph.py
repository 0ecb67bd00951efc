"""dvc.yaml as a graph of stages and the files they exchange; knows nothing of Dagster.

Only that one file is read, not DVC's index, which also walks the data and every dvc.yaml below the workspace.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assets.dvc import dvc_internals
from deepmark.errors import DeepmarkError, check_merged, nearest
from deepmark.workspace.dvc_lock import joined_md5, locked_outs

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class Hints(BaseModel):
    """What a stage says under `meta: dagster:`: the name of its asset, and how Dagster shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asset: Name
    group: Name = "default"
    job: Name | None = None
    """The job that makes it, together with other assets of the same partitions; the group's name where not given."""

    description: str = ""
    kinds: Annotated[frozenset[str], Field(max_length=3)] = frozenset()
    pool: Name | None = None
    owners: tuple[str, ...] = ("team:deepmark",)
    """Whom to ask about it: "team:NAME" or an e-mail address."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage as DVC runs it: "train", or "ingest@validation"."""

    address: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    """Absolute paths."""

    @property
    def item(self) -> str | None:
        """What follows the @: the item of a foreach stage, or the combination of a matrix stage."""
        return self.address.partition("@")[2] or None


@dataclass(frozen=True, kw_only=True)
class StageFamily:
    """A stage of dvc.yaml with all its items; in Dagster an asset with its partitions."""

    name: str
    hints: Hints
    stages: tuple[Stage, ...]

    def uses(self, folder: Path) -> bool:
        """Whether one of its stages depends on something in `folder`."""
        return any(_overlap(dep, str(folder)) for stage in self.stages for dep in stage.deps)

    @property
    def items(self) -> tuple[str, ...] | None:
        """In the order of dvc.yaml; None for a stage without foreach."""
        return tuple(stage.item for stage in self.stages if stage.item) or None

    def stage(self, item: str | None) -> Stage:
        return next(stage for stage in self.stages if stage.item == item)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A family depends on outputs of another, `upstream`."""

    upstream: StageFamily
    uses: dict[str | None, frozenset[str | None]]
    """Item of the dependent family -> the items of `upstream` that it uses; None stands for a stage without items."""


@dataclass(frozen=True)
class Graph:
    """The stages of a workspace, in an order in which they can run."""

    workspace: Path
    families: tuple[StageFamily, ...]

    def edges(self, family: StageFamily) -> list[Edge]:
        """The families that `family` depends on, in the order of the graph."""
        edges = []
        for upstream in self.families:
            uses = {
                stage.item: frozenset(item for dep in stage.deps for item in self._makers(upstream, dep))
                for stage in family.stages
            }
            if any(uses.values()):
                edges.append(Edge(upstream=upstream, uses=uses))
        return edges

    def _makers(self, family: StageFamily, path: str) -> Iterator[str | None]:
        for stage in family.stages:
            if any(_overlap(path, out) for out in stage.outs):
                yield stage.item

    @cached_property
    def jobs(self) -> dict[str, list[StageFamily]]:
        """Families by job; jobs, and the families of a job, are in an order in which they can run.

        Raises DeepmarkError where the families of a job differ in their items, or two jobs depend on each other.
        """
        jobs: dict[str, list[StageFamily]] = {}
        for family in self.families:
            jobs.setdefault(family.hints.job or family.hints.group, []).append(family)
        for job, members in jobs.items():
            if len({family.items for family in members}) > 1:
                stages = ", ".join(family.name for family in members)
                raise DeepmarkError(
                    f"{self.workspace}/dvc.yaml: the stages {stages} share the job '{job}' but not their items. "
                    "Give each set of items a job of its own, under `meta: dagster: job`."
                )
        job_of = {family.name: job for job, members in jobs.items() for family in members}
        needs = {
            job: {job_of[edge.upstream.name] for family in members for edge in self.edges(family)} - {job}
            for job, members in jobs.items()
        }
        return {job: jobs[job] for job in _in_order(needs, f"{self.workspace}/dvc.yaml: the jobs")}


def read_graph(workspace: Path) -> Graph:
    """The stages of the workspace's dvc.yaml.

    Raises DeepmarkError, with the file and the place in it, for a file that is missing or that DVC cannot read, for
    unknown hints, and for stages that depend on each other.
    """
    file = workspace / "dvc.yaml"
    if not file.is_file():
        raise DeepmarkError(
            f"{file}: no such file. `deepmark init DIR` makes a workspace; name it as DEEPMARK_WORKSPACE."
        )
    check_workspace_files(workspace)
    families: dict[str, tuple[Hints, list[Stage]]] = {}
    for address, stage in dvc_internals.load_stages(file).items():
        name = address.partition("@")[0]
        hints = _hints(f"{file}: {name}: meta: dagster", name, stage.meta)
        families.setdefault(name, (hints, []))[1].append(
            Stage(
                address=address,
                command=stage.cmd,
                deps=tuple(dep.fs_path for dep in stage.deps),
                outs=tuple(out.fs_path for out in stage.outs),
            )
        )
    if not families:
        raise DeepmarkError(f"{file}: has no stages. Take one from a fresh `deepmark init DIR`.")
    by_name = {name: StageFamily(name=name, hints=h, stages=tuple(s)) for name, (h, s) in families.items()}
    graph = Graph(workspace, tuple(by_name.values()))
    needs = {family.name: {edge.upstream.name for edge in graph.edges(family)} for family in graph.families}
    return Graph(workspace, tuple(by_name[name] for name in _in_order(needs, f"{file}: the stages")))


def check_workspace_files(workspace: Path) -> None:
    """Raise DeepmarkError where a file that DVC reads first is in conflict after a merge; DVC tells it as bad YAML."""
    for name in ("dvc.yaml", "params.yaml", "dvc.lock"):
        file = workspace / name
        if file.is_file():
            check_merged(file, file.read_text("utf-8", "replace"))


def read_data_version(workspace: Path, stage: Stage) -> str | None:
    """The md5 that dvc.lock has of the stage's output, or one md5 of all its outputs; None before it has run."""
    sums = [out["md5"] for out in locked_outs(workspace).get(stage.address, [])]
    if len(sums) < 2:
        return sums[0] if sums else None
    return joined_md5(sums)


def _hints(where: str, stage: str, meta: dict[str, Any] | None) -> Hints:
    given = (meta or {}).get("dagster") or {}
    try:
        return Hints.model_validate({"asset": stage.replace("-", "_"), **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise DeepmarkError(f"{where}: '{key}' is not a hint. {nearest(key, Hints.model_fields)}") from None
        raise DeepmarkError(f"{where}: {key}: {first['msg']} (found: {first['input']!r}).") from None


def _overlap(a: str, b: str) -> bool:
    one, other = PurePosixPath(a), PurePosixPath(b)
    return one == other or one in other.parents or other in one.parents


def _in_order(needs: dict[str, set[str]], what: str) -> list[str]:
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise DeepmarkError(f"{what} wait for each other: {' -> '.join(error.args[1])}. Break the circle.") from None
