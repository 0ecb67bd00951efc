"""The timing of predictions in a workspace of an earlier release, whose predictions hold it themselves.

`predict` now writes it to metrics/timing/, which export and report read. An upgrade names these files in dvc.yaml,
writes those that it can take from the predictions, and tells dvc.lock, so that DVC predicts nothing again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deepmark.data.predictions import prediction_facts
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.timing_file import timing_of, write_timing
from deepmark.schema import STRATEGIES
from deepmark.workspace.layout import Workspace
from deepmark.workspace.yaml_lines import append_items, edited_yaml, indent_of, load_yaml, spans

_READ = {"export": ("none", "flip"), "report": STRATEGIES}
"""The strategies whose timing a stage reads."""

_OUT = "metrics/timing/${item}.json"


def _path(strategy: str) -> str:
    return f"metrics/timing/{strategy}.json"


def missing_timings(root: Path) -> dict[Path, str]:
    """The content of every timing that is missing and that the predictions of an earlier release hold."""
    workspace, found = Workspace(root), {}
    for strategy in STRATEGIES:
        file, predictions = workspace.timing_file(strategy), workspace.predictions_file(strategy)
        if file.is_file() or not predictions.is_file():
            continue
        facts, images = prediction_facts(predictions)
        if "ms" in facts:
            with TemporaryDirectory(prefix="deepmark-upgrade-") as folder:
                draft = Path(folder) / file.name
                write_timing(draft, timing_of(json.loads(facts["ms"]), facts["device"], images), predictions)
                found[file] = draft.read_text("utf-8")
    return found


def with_timing_files(text: str, file: Path) -> str:
    """The text of a dvc.yaml whose stages name the timings, at the end of their lists.

    Raises DeepmarkError, naming `file`, where a stage is written in another way than that of a new workspace.
    """
    lines, expected = text.splitlines(), load_yaml(text)
    stages = (expected or {}).get("stages") or {}
    for name, strategies in _READ.items():
        if name in stages:
            deps = stages[name].setdefault("deps", [])
            new = [path for path in map(_path, strategies) if path not in deps]
            deps += new
            append_items(lines, f"stages.{name}.deps", [f"- {path}" for path in new])
    made = (stages.get("predict") or {}).get("do", {})
    if made and not any(_OUT in metric for metric in made.get("metrics", [])):
        made.setdefault("metrics", []).append({_OUT: {"cache": False}})
        there = spans(lines)
        if "stages.predict.do.metrics" not in there and "stages.predict.do.outs" in there:
            first, end = there["stages.predict.do.outs"]
            lines.insert(end, f"{indent_of(lines[first])}metrics:")
        append_items(lines, "stages.predict.do.metrics", [f"- {_OUT}:", "    cache: false"])
    after = "\n".join(lines) + "\n" if expected != load_yaml(text) else text
    if load_yaml(after) != expected:
        raise DeepmarkError(
            f"{file}: new lines have no clear place in it. Name {_OUT}, with cache: false, under the metrics of "
            "predict, and these files under deps: those of none and flip in export, all in report."
        )
    return after


def with_locked_timings(text: str, contents: Mapping[str, bytes]) -> str:
    """The text of a dvc.lock that knows the timings of these strategies, of stages that it knows."""

    def edit(lock: Any) -> bool:
        stages, changed = (lock or {}).get("stages", {}), False
        for strategy, content in contents.items():
            entry = {
                "path": _path(strategy),
                "hash": "md5",
                "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                "size": len(content),
            }
            readers = [name for name, strategies in _READ.items() if strategy in strategies]
            for stage, kind in ((f"predict@{strategy}", "outs"), *((name, "deps") for name in readers)):
                known = stages.get(stage, {}).get(kind)
                if known and entry["path"] not in [one["path"] for one in known]:
                    known.append(dict(entry))
                    changed = True
        return changed

    return edited_yaml(text, edit)
