"""Every stage killed at random moments, then run again: the same results as if it had never been killed, or not.

    python benchmarks/stage_kills.py [--kills 10] [--seed 1]

A small workspace is made whole: a champion, and an evaluated challenger. Each command is then run in a process that was
forked after all imports, so that its time is work, and killed by SIGKILL one to three times in a row at random moments
of that time; half of the time its earlier outputs are there. The next run is left alone, and its files are compared,
byte by byte, with those of a run that was never killed (metrics/export.json without its times; the
registry by its versions, aliases, sums and champions). Nothing may be left: no draft, no old folder, no lock, no
process, no run that MLflow shows as running. Training has a campaign of its own, benchmarks/kill_resume.py. Exits
with 1 where anything differs or is left.
"""

import argparse
import importlib
import os
import pickle
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from damage import make_workspace

import deepmark
from deepmark import stages
from deepmark.cli import app as cli
from deepmark.digests import read_json_with_digest
from deepmark.files import file_sha256
from deepmark.model.detector import build_detector, save_detector
from deepmark.registry.history import tenures
from deepmark.registry.promote import promote
from deepmark.registry.register import register
from deepmark.registry.versions import Registry
from deepmark.schema import STRATEGIES
from deepmark.tracking.mlflow_store import open_client, store_errors, tracking_uri
from deepmark.workspace.layout import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from published import DLA

from deepmark.vocabulary import DEEPFASHION2

SECONDS = 20.0
"""How long processes below a killed one may take to end."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command and what it makes."""

    words: tuple[str, ...]
    outs: tuple[str, ...] = ()
    """Files and folders below the workspace that are compared."""

    state: str = "evaluated"
    """The workspace before the command, by the last thing that was done: evaluated, registered or promoted."""

    once: bool = False
    """Whether it refuses to do again what is done; the killed run must then have done the whole."""


COMMANDS = {
    "ingest": Command(
        words=("ingest", "--split", "train"),
        outs=tuple(f"data/records/train.{ending}" for ending in ("parquet", "rejected.parquet", "statistics.json")),
    ),
    "shard": Command(words=("shard", "--split", "train"), outs=("data/shards/train",)),
    "predict": Command(words=("predict", "--strategy", "flip"), outs=("data/predictions/flip.parquet",)),
    "evaluate": Command(
        words=("evaluate", "--strategy", "flip"), outs=("metrics/flip.json", "tables/flip", "plots/flip.csv")
    ),
    "export": Command(words=("export",), outs=("export", "metrics/export.json")),
    "audit": Command(words=("audit",), outs=("data/audit",)),
    "report": Command(words=("report",), outs=("report",)),
    "register": Command(words=("register",)),
    "promote": Command(words=("promote", "--force", "for the campaign"), state="registered"),
    "rollback": Command(words=("rollback",), state="promoted", once=True),
    "convert --to coco": Command(
        words=("convert", "--to", "coco", "--split", "train", "--out", "made/coco.json"), outs=("made",)
    ),
    "convert --from coco": Command(
        words=("convert", "--from", "coco", "coco.json", "--images", "data/raw/train/image", "--out", "made/imported"),
        outs=("made/imported",),
        once=True,
    ),
    "import-checkpoint": Command(
        words=("import-checkpoint", "dla.pth", "--backbone", "dla34", "--out", "made/dla.safetensors"), outs=("made",)
    ),
}


def fork(work: Callable[[], Any], log: Path) -> int:
    """The id of a process that does the work and exits with 0, or with 1 after an error, which is in the log."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = 0
    try:
        work()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # the forked process ends here, whatever happened
        traceback.print_exc()
        code = 1
    os._exit(code)


def finish(pid: int, log: Path) -> None:
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"ended with {os.waitstatus_to_exitcode(status)}:\n{log.read_text('utf-8')[-3000:]}")


def found_in_child(work: Callable[[], Any], folder: Path) -> Any:
    """What the work returns, done in a forked process: this one must not open MLflow's database."""
    file = folder / "found.pickle"
    finish(fork(lambda: file.write_bytes(pickle.dumps(work())), folder / "log"), folder / "log")
    return pickle.loads(file.read_bytes())


def run(root: Path, command: Command) -> None:
    os.chdir(root)
    sys.argv = ["deepmark", *command.words]
    cli.main()


def make_evaluated(root: Path) -> None:
    """A workspace whose champion is version 1, and whose new checkpoint is evaluated."""
    workspace = make_workspace(root)
    save_detector(build_detector(workspace.params.model, DEEPFASHION2, seed=7), workspace.model_file)
    for strategy in STRATEGIES:
        stages.predict(workspace, strategy=strategy)
        stages.evaluate(workspace, strategy=strategy)
    stages.report(workspace)
    torch.save({"state_dict": DLA.weights()}, workspace.root / "dla.pth")
    run(workspace.root, Command(words=("convert", "--to", "coco", "--split", "train", "--out", "coco.json")))


STATES: dict[str, Callable[[Path], Any]] = {
    "evaluated": make_evaluated,
    "registered": lambda root: register(Workspace(root)),
    "promoted": lambda root: promote(Workspace(root), force="for the campaign"),
}
"""Each is made of the one before."""


def outcome(root: Path, command: Command) -> dict[str, str]:
    """What a run leaves that must not depend on how often it was killed."""
    found = {}
    for out in command.outs:
        path = root / out
        for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
            name = str(file.relative_to(root))
            if name == "metrics/export.json":
                found[name] = str(_without_times(read_json_with_digest(file, "deepmark export")))
            else:
                found[name] = file_sha256(file)
    return found | _registry(Workspace(root))


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(part) for name, part in value.items() if not name.endswith("ms")}
    return value


def _registry(workspace: Workspace) -> dict[str, str]:
    with store_errors(tracking_uri(workspace.root)):
        client = open_client(workspace.root)
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = {
            "runs": str([run.info.status for run in client.search_runs(experiments)]),
            "registered models": str([model.name for model in client.search_registered_models()]),
            "logged models": str([str(model.status) for model in client.search_logged_models(experiments)]),
        }
    for version in Registry(workspace.root).versions():
        history = [(one.number, one.rolled_back is not None) for one in tenures(version)]
        found[f"version {version.number}"] = f"{version.aliases} {version.checkpoint} {history}"
    return found


def left_behind(root: Path) -> list[str]:
    """Drafts, old folders, and locks that nobody holds."""
    names = [path for path in root.rglob("*") if ".unfinished" in path.name or path.name.endswith(".old")]
    return [str(path.relative_to(root)) for path in names]


def kill(pid: int) -> bool:
    """Kill a process, and wait until all below it are gone too; False where it had ended by itself."""
    below = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    _, alive = psutil.wait_procs(below, timeout=SECONDS)
    if alive:
        raise SystemExit(f"left behind: {[one.cmdline() for one in alive]}")
    return os.WIFSIGNALED(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS), help="these commands")
    arguments = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    for module in pkgutil.walk_packages(deepmark.__path__, "deepmark."):  # so that no process imports them anew
        importlib.import_module(module.name)
    rows, wrong = [], 0
    with tempfile.TemporaryDirectory(prefix="deepmark-kills-") as name:
        folder = Path(name)
        for state, make in STATES.items():
            finish(fork(lambda make=make: make(folder / "workspace"), folder / "log"), folder / "log")
            shutil.copytree(folder / "workspace", folder / state, symlinks=True)
        for name in arguments.only:
            campaign = Campaign(folder, COMMANDS[name], random.Random(f"{arguments.seed} {name}"))
            campaign.run(arguments.kills)
            rows.append(f"| {name} | {campaign.seconds:.1f} | {campaign.kills} | {campaign.runs} | {campaign.same} |")
            wrong += campaign.runs - campaign.same
            print(rows[-1], file=sys.stderr, flush=True)
    print("| command | seconds | kills | runs after kills | identical, nothing left |\n|---|---:|---:|---:|---:|")
    print("\n".join(rows))
    sys.exit(1 if wrong else 0)


class Campaign:
    """The kills of one command."""

    def __init__(self, folder: Path, command: Command, chance: random.Random) -> None:
        self._folder, self._command, self._chance = folder, command, chance
        self._root, self._log = folder / "workspace", folder / "log"
        self.seconds, self.kills, self.runs, self.same = 0.0, 0, 0, 0

    def run(self, kills: int) -> None:
        self._reset(keep=False)
        begun = time.monotonic()
        finish(self._start(), self._log)
        self.seconds = time.monotonic() - begun
        expected = self._outcome()
        while self.kills < kills:
            self._reset(keep=self._chance.random() < 0.5)
            before = self.kills
            for _ in range(min(self._chance.randint(1, 3), kills - self.kills)):
                pid = self._start()
                time.sleep(self._chance.uniform(0, self.seconds))
                self.kills += kill(pid)
            if self.kills == before:
                continue
            if not (self._command.once and self._outcome() == expected):
                finish(self._start(), self._log)
            self.runs += 1
            found, left = self._outcome(), left_behind(self._root)
            differ = {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}
            self.same += not differ and not left
            for name in sorted(differ):
                print(f"{self._command.words}: {name}: {found.get(name)}, not {expected.get(name)}", file=sys.stderr)
            if left:
                print(f"{self._command.words}: left behind: {left}", file=sys.stderr)

    def _start(self) -> int:
        return fork(lambda: run(self._root, self._command), self._log)

    def _outcome(self) -> dict[str, str]:
        return found_in_child(lambda: outcome(self._root, self._command), self._folder)

    def _reset(self, *, keep: bool) -> None:
        """The workspace as it was before the command, with or without the outputs of an earlier run of it."""
        shutil.rmtree(self._root)
        shutil.copytree(self._folder / self._command.state, self._root, symlinks=True)
        for out in () if keep else self._command.outs:
            path = self._root / out
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
