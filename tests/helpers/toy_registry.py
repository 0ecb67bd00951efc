"""A registry of models that answers as it is told; what the real commands do has tests of its own."""

import json
import sys
from pathlib import Path

COMMAND = (sys.executable, "registry.py")
"""For assets.registry_command.COMMAND: run in the workspace."""

COMMANDS = r"""
import json, pathlib, os, sys

said = json.loads(pathlib.Path("said.json").read_text())
*words, _, out = sys.argv[1:]
with pathlib.Path("asked").open("a") as file:
    file.write(" ".join(words) + "\n")
pathlib.Path("run").write_text(os.environ["DAGSTER_RUN_ID"])
print("a line of progress", file=sys.stderr)
answer = said[" ".join(words)]
if "facts" in answer:
    pathlib.Path(out).write_text(json.dumps(answer["facts"]))
print(answer.get("error", ""), file=sys.stderr)
sys.exit(answer.get("status", 0))
"""

RULE = {
    "name": "landmark AP",
    "champion": 0.5,
    "challenger": 0.25,
    "condition": "low > -0.005",
    "holds": False,
    "interval": {"low": -0.3, "high": -0.2},
}
HELD = RULE | {"name": "landmark AP of vest", "condition": "difference >= -0.5", "holds": True}
VERSION = {
    "aliases": [],
    "created": "2026-01-02T03:04:05+00:00",
    "box_ap": 0.75,
    "landmark_visible_ap": 0.5,
    "landmark_ap": 0.25,
    "serves": "checkpoint",
    "megabytes": 7.0,
    "milliseconds": None,
    "data_version": None,
    "mlflow_run": "ab12",
}
PASSED = {"champion": 1, "before": 1, "challenger": 2, "failed": [], "said": "fine"}
PASSED |= {"rules": [RULE | {"holds": True}, HELD], "versions": [VERSION | {"version": 2}, VERSION | {"version": 1}]}
REFUSED = PASSED | {"failed": ["landmark AP: champion 0.5000, challenger 0.2500"], "rules": [RULE, HELD]}
REFUSED |= {"said": "refused"}


def answers(**changes) -> dict:
    """Version 2 takes version 1's place; `changes` by the words that follow `deepmark`."""
    facts = {
        "register": {"facts": {"version": 2}},
        "promote --dry-run": {"facts": PASSED},
        "promote": {"facts": PASSED | {"champion": 2}},
    }
    return facts | changes


def challenge(aps: list[float]) -> dict:
    """The last of the versions with these APs wants to be champion, and is refused if it is below the one before."""
    number, ap, before = len(aps), aps[-1], aps[-2] if len(aps) > 1 else None
    versions = [VERSION | {"version": version, "landmark_ap": one} for version, one in enumerate(aps, 1)]
    facts = PASSED | {"champion": number, "before": number - 1 or None, "challenger": number, "versions": versions}
    facts |= {"said": f"version {number} becomes the champion"}
    if before is None:
        facts["rules"] = []
    else:
        interval = {"low": ap - before - 0.02, "high": ap - before + 0.02}
        facts["rules"] = [RULE | {"champion": before, "challenger": ap, "interval": interval, "holds": ap > before}]
        if ap < before:
            refusal = f"landmark AP: champion {before:.4f}, challenger {ap:.4f}; needed: {RULE['condition']}"
            facts |= {"champion": number - 1, "failed": [refusal], "said": f"version {number} is refused"}
    told = {"facts": facts, "status": 1 if facts["failed"] else 0}
    register = {"facts": {"version": number}}
    return {"register": register, "promote --dry-run": told, "promote": told}


def install(workspace: Path) -> None:
    (workspace / "registry.py").write_text(COMMANDS, "utf-8")


def tell(workspace: Path, said: dict) -> None:
    """What the commands answer from now on."""
    (workspace / "said.json").write_text(json.dumps(said), "utf-8")
