"""params.yaml: every number that changes a result, read by one function at run time.

One section per stage. A function of the library receives the values it uses, or one section, never the whole.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deepmark.errors import DeepmarkError, check_merged, nearest
from deepmark.params.added import GONE, added_below
from deepmark.params.data import ComputeParams, DataParams, IngestParams, ShardParams, StorageParams
from deepmark.params.inference import AuditParams, EvaluateParams, ExportParams, PredictParams, ReportParams
from deepmark.params.model import ModelParams, model_params
from deepmark.params.operation import AutomationParams, PromoteParams
from deepmark.params.section import Section, faults
from deepmark.params.training import AugmentParams, LossWeights, TrainParams

__all__ = [
    "AuditParams",
    "AugmentParams",
    "AutomationParams",
    "ComputeParams",
    "DataParams",
    "EvaluateParams",
    "ExportParams",
    "IngestParams",
    "LossWeights",
    "ModelParams",
    "Params",
    "PredictParams",
    "PromoteParams",
    "ReportParams",
    "ShardParams",
    "StorageParams",
    "TrainParams",
    "check_params",
    "load_params",
    "model_params",
]


class Params(Section):
    data: DataParams
    ingest: IngestParams
    shard: ShardParams
    storage: StorageParams = StorageParams()
    compute: ComputeParams = ComputeParams()
    model: ModelParams
    augment: AugmentParams
    train: TrainParams
    predict: PredictParams
    evaluate: EvaluateParams
    export: ExportParams
    audit: AuditParams
    report: ReportParams
    automation: AutomationParams
    promote: PromoteParams


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        section = section.model_fields[part].annotation
    return list(section.model_fields)


def _explain(error: dict[str, Any], fault: str) -> str:
    *parents, key = error["loc"] or ("file",)
    where = "".join(f"{part}: " for part in parents)
    if error["type"] == "extra_forbidden":
        return f"{where}'{key}' is not a parameter. {nearest(str(key), _known_keys(tuple(parents)))}"
    if error["type"] == "missing":
        return f"{where}'{key}' is missing. Copy it from a fresh `deepmark init DIR`."
    return f"{where}{key}: {fault} (found: {error['input']!r})."


def load_params(path: Path) -> Params:
    """The checked contents of a params.yaml.

    Raises DeepmarkError, naming file, section and key, for a file that is missing, is not YAML, or holds a key or a
    value that is not known.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text("utf-8")
        check_merged(path, text)
        values = YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise DeepmarkError(
            f"{path}: no such file. A workspace has one: `deepmark init DIR` makes it, `--workspace DIR` names it."
        ) from None
    except RecursionError:
        raise DeepmarkError(f"{path}: cannot be read as YAML: its brackets are nested too deeply.") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        if isinstance(error, MarkedYAMLError):
            error.note = None  # of a key that is there twice: advice to suppress the check
        raise DeepmarkError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    return check_params(values, str(path))


def check_params(values: Any, where: str) -> Params:
    """What a params.yaml holds, checked; `where` begins every line of the DeepmarkError that tells what is wrong."""
    if not isinstance(values, dict):
        raise DeepmarkError(f"{where}: expected sections ({', '.join(Params.model_fields)}), found {values!r}.")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        found = [
            (dict(item), ".".join(map(str, item["loc"])), fault)
            for item, fault in zip(error.errors(), faults(error), strict=True)
        ]
        new = added_below(name for item, name, _ in found if item["type"] == "missing")
        gone = [name for item, name, _ in found if item["type"] == "extra_forbidden" and name == GONE]
        lines = [f"{where}: {_explain(item, fault)}" for item, name, fault in found if name not in (*new, *gone)]
        if new or gone:
            lacks = [f"it lacks {', '.join(new)}"] * bool(new)
            has = [f"{GONE} has become the section compute"] * bool(gone)
            lines.append(
                f"{where}: of an earlier release, {' and '.join(lacks + has)}. `deepmark upgrade` makes it one of this "
                "release and changes no result; with --dry-run it shows what it would write."
            )
        raise DeepmarkError("\n".join(lines)) from None
