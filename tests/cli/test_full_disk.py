"""Every stage on a real file system that is full, or that is read-only: one message, and nothing half-written."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deepmark import stages
from deepmark.schema import STRATEGIES
from deepmark.workspace.layout import Workspace

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.name != "posix" or os.getuid() != 0 or not shutil.which("mount"), reason="mounts need root"),
]

STAGES = {
    "ingest": ("--split", "train"),
    "shard": ("--split", "train"),
    "train": ("--fresh",),
    "predict": ("--strategy", "none"),
    "evaluate": ("--strategy", "none"),
    "export": (),
    "audit": (),
    "report": (),
    "register": (),
    "detect": ("photos", "--out", "all.json"),
    "synth": ("drawn", "--train", "2", "--validation", "1"),
}

TOLD = {
    "full": ("no space is left on the disk", "are free on the disk of", "disk is full"),
    "read-only": ("read-only",),
}


@pytest.fixture(scope="module")
def complete(trained_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the inputs of every stage."""
    root = Path(shutil.copytree(trained_once.root, tmp_path_factory.mktemp("complete") / "w", symlinks=True))
    for strategy in STRATEGIES:
        stages.predict(Workspace(root), strategy=strategy)
        stages.evaluate(Workspace(root), strategy=strategy)
    shutil.copytree(root / "data/raw/validation/image", root / "photos")
    return root


@pytest.fixture(scope="module", params=TOLD)
def disk(request: pytest.FixtureRequest, complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The workspace on a disk of its own, which is full, or read-only; the folder is called so."""
    folder = tmp_path_factory.mktemp("disk") / request.param
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(complete, folder / "w", symlinks=True)
        if request.param == "full":
            with suppress(OSError), (folder / "rest").open("wb", buffering=0) as rest:
                while True:
                    rest.write(bytes(4096))
        else:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # MLflow keeps its database open


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_cannot_write_says_so_and_leaves_everything(disk, deepmark, monkeypatch, stage):
    monkeypatch.chdir(disk / "w")
    before = contents(disk)
    done = deepmark(stage, *STAGES[stage])
    message = done.err.splitlines()[-1]

    assert done.code == 1, done.out
    assert message.startswith(f"deepmark {stage}: ")
    assert any(words in message for words in TOLD[disk.name]), message
    assert "Traceback" not in done.err
    assert contents(disk) == before


def contents(folder: Path) -> dict[Path, int]:
    """The size of every file, but for those of MLflow's database."""
    files = (file for file in folder.rglob("*") if file.is_file() and "mlflow.db" not in file.name)
    return {file: file.stat().st_size for file in files}
