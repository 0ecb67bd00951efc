"""The errors of DeepMark, and what their messages share.

    DeepmarkError          a mistake of the user: the command line prints the message and exits with 1
      RefusedError         registry.promote: the gate refuses the challenger
      RunFailedError       pipelines.jobs.runs: a run of Dagster failed; the message is that of what failed in it
      RankError            train.distributed.launch: a training process died; the message holds its traceback
      MissingFileError     data.shards.remote: the storage has no such file
      RequestRefusedError  server.refusals: a request to `deepmark serve` is answered with a status of 400 or more
      BadRequestError      serving.pyfunc_model: a request to the served model cannot be answered
      LostPeerError        train.distributed.process_group: another process left the training
      RunLockedError       train.checkpoint: another process trains the same run
      MeetingError         train.distributed.meeting: processes of a training did not come, or do not reach each other
    StoppedError           train.distributed.stop_signal: all processes stopped after the same step, for a signal
    _WrongValueError       serving.pyfunc_model: what stands in the place of an image; becomes a BadRequestError
    UnusableError          importing.labelled: an image of a labelling tool cannot be used; it is set aside and counted
    InvalidInputError      data.ingest.strict_json: an input is unusable; ingest rejects and counts it
    StageFailedError       assets.dvc.repro: the command of a stage, or DVC, exited with an error
      StageEndedError      assets.dvc.repro: the stage was ended from outside, and is to be tried again

What the operating system and libraries raise becomes the same kind of message at one place in the command line, by
`explain`. A mistake of our own is an assert or a ValueError; there it becomes a request to report it.
"""

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

EXTRAS = {
    "anny": "synth3d",
    "av": "video",
    "cv2": "train",
    "dagster": "pipeline",
    "dagster_pipes": "train",
    "dagster_postgres": "postgres",
    "dvc": "pipeline",
    "fastapi": "serve",
    "filelock": "train",
    "fsspec": "train",
    "hotcoco": "eval",
    "jinja2": "train",
    "matplotlib": "train",
    "mlflow": "train",
    "moderngl": "synth3d",
    "onnx": "train",
    "onnxscript": "train",
    "pandas": "train",
    "prometheus_client": "serve",
    "psutil": "train",
    "pyarrow": "train",
    "pycocotools": "eval",
    "pydantic": "train",
    "python_multipart": "serve",
    "ray": "cluster",
    "safetensors": "train",
    "scipy": "synth3d",
    "sqlalchemy": "train",
    "starlette": "serve",
    "torch": "train",
    "uvicorn": "serve",
    "webdataset": "train",
    "xxhash": "train",
}
"""The extra of pyproject.toml that installs a module; every other module that we import comes with the base."""


_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]*[^\s'\"<>:.,]")
_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):.*@")
_TOKEN = re.compile(r"(?<=^http://)[^/?:@]+@|(?<=^https://)[^/?:@]+@")
_QUERY_VALUE = re.compile(r"(?<==)[^&;]+")
_HIDDEN = "***"

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)


def redact(text: str) -> str:
    """The text with *** for every password, access token and value of a query in the URLs that it holds.

    A signed URL has its signature in the query, and a database may have its password there; so no value is shown.
    """
    return _URL.sub(_redact_url, text)


def _redact_url(match: re.Match[str]) -> str:
    url = _PASSWORD.sub(rf"\1:{_HIDDEN}@", match[0])
    place, mark, query = _TOKEN.sub(f"{_HIDDEN}@", url).partition("?")
    return place + mark + _QUERY_VALUE.sub(_HIDDEN, query)


class DeepmarkError(Exception):
    """A mistake in what we were given: the message says what, where, and what to do next, and shows no secret."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


def as_path(value: Any, what: str) -> Path:
    """The path in an argument of a public function; `what` names the function and the argument.

    Raises DeepmarkError for anything but a string or a path.
    """
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise DeepmarkError(f"{what}: expected a path, found {type(value).__name__}. Give a string or a pathlib.Path.")


def nearest(word: str, choices: Iterable[str]) -> str:
    """'Did you mean …?' when a choice is close, otherwise the list of choices."""
    names = [str(choice) for choice in choices]
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Choose one of: {', '.join(names)}."


def install_extra(extra: str) -> str:
    """What to do to install an extra."""
    return f"`pip install '.[{extra}]'` in a clone of DeepMark's repository (`deepmark` on PyPI is another project)"


def check_merged(file: Path, text: str) -> None:
    """Raise DeepmarkError where the text of a file has the marks that git leaves at a conflict of two versions."""
    mark = _CONFLICT.search(text)
    if mark is None:
        return
    line = text.count("\n", 0, mark.start()) + 1
    if file.name == "dvc.lock":
        remedy = "Take one side (`git checkout --ours dvc.lock` or --theirs), then `dvc repro` makes it fit again"
    else:
        remedy = "Choose what is right and delete the lines with <<<<<<<, ======= and >>>>>>>"
    raise DeepmarkError(
        f"{file}, line {line}: two versions are in conflict after a merge. {remedy}; `git add {file.name}`."
    )


def missing_model(path: Path, command: str) -> DeepmarkError:
    """The error for a model file that is not there; `deepmark COMMAND` makes such a one."""
    return DeepmarkError(
        f"{path}: no such file. `deepmark {command}` makes a model; --model names one, --model open the small one that "
        "comes with DeepMark."
    )


def missing_extra(extra: str) -> DeepmarkError:
    """The error for a command or function whose extra is not installed."""
    return DeepmarkError(f"this needs the extra '{extra}': {install_extra(extra)}.")


@contextmanager
def extras_named() -> Iterator[None]:
    """Turn the ModuleNotFoundError of a package that an extra installs into a DeepmarkError that names the extra.

    A module that is missing for any other reason, one of our own included, keeps its error and traceback.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or find_spec(package) is not None:
            raise
        raise missing_extra(EXTRAS[package]) from error


_SYSTEM = {
    errno.EACCES: ("permission denied.", "Change its permissions, or name another place."),
    errno.EDQUOT: ("the disk quota is used up.", "Free some space, then run the same command again."),
    errno.EEXIST: ("there is something of this name.", "Move it away, or name another place."),
    errno.EFBIG: ("the file is larger than its file system or a limit allows.", "Use a place on another disk."),
    errno.EIO: ("the disk reports an error.", "Check the disk, and copy what can still be read."),
    errno.EISDIR: ("is a folder.", "Name a file."),
    errno.ELOOP: ("its symbolic links lead in a circle.", "Correct them, or name another place."),
    errno.EMFILE: ("too many files are open.", "Raise the limit with `ulimit -n 4096`, then run the command again."),
    errno.ENAMETOOLONG: ("the name is too long for its file system.", "Give a shorter one."),
    errno.ENFILE: ("too many files are open on this machine.", "End other programs, then run the command again."),
    errno.ENOENT: ("no such file or folder.", "Check the path."),
    errno.ENOMEM: ("the machine is out of memory.", "Free some, then run the same command again."),
    errno.ENOSPC: ("no space is left on the disk.", "Free some, then run the same command again."),
    errno.ENOTDIR: ("a part of this path is a file, not a folder.", "Name another place."),
    errno.ENOTEMPTY: ("the folder is not empty.", "Name another one, or see what is in it."),
    errno.EPERM: ("this is not permitted here.", "Use another place, or ask who runs this machine."),
    errno.EROFS: ("the file system is read-only.", "Use a place that can be written."),
    errno.ETIMEDOUT: ("no answer in time.", "Check the network, then run the command again."),
}
"""What is wrong and what to do, for errors of the operating system."""

_LIBRARIES = {
    "mlflow": "MLflow",
    "pandas": "a table cannot be read",
    "pyarrow": "a Parquet file cannot be read or written",
    "ruamel": "a YAML file cannot be read",
    "safetensors": "a file of weights cannot be read or written",
    "sqlalchemy": "the database cannot be used",
    "sqlite3": "the database cannot be used",
}


def explain(error: BaseException) -> str | None:
    """What is wrong, where, and what to do, for an error of the user, the operating system or a library; else None."""
    library = _LIBRARIES.get(type(error).__module__.partition(".")[0])
    number = re.search(r"(?:\[[Ee]rrno |Os \{ code: )(\d+)", str(error))  # as Arrow and safetensors have it
    if isinstance(error, DeepmarkError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(error):
        return f"the GPU is out of memory ({_line(error)}). Lower batch_size in params.yaml, or free the GPU."
    if isinstance(error, MemoryError):
        return "the machine is out of memory. Free some, or lower batch_size in params.yaml; then run it again."
    if isinstance(error, OSError):
        return _explain_system(error)
    while_writing = "".join(f"{note}: " for note in getattr(error, "__notes__", ())[:1])
    if library and number:
        return while_writing + _explain_system(OSError(int(number[1]), os.strerror(int(number[1]))))
    if isinstance(error, UnicodeDecodeError):
        return f"a file is not UTF-8 text ({_line(error)}). Write it again as UTF-8."
    if isinstance(error, UnicodeEncodeError):
        return f"a name or a text cannot be written ({_line(error)}). Rename the file, or set PYTHONIOENCODING=utf-8."
    if type(error).__name__ == "JSONDecodeError":
        return f"a file that should be JSON is not: {_line(error)}. Run the stage that makes it again."
    if library:
        return f"{while_writing}{library}: {_line(error)}. Make it again, or see --debug."
    if isinstance(error, ImportError) and not (error.name or "").startswith(("deepmark", "assets", "pipelines")):
        return f"a package cannot be loaded: {_line(error)}. Install it again; README.md says how."
    return None


def _explain_system(error: OSError) -> str:
    number = error.errno if error.errno is not None else -1
    reason, remedy = _SYSTEM.get(number, (f"{(error.strerror or _line(error)).lower().rstrip('.')}.", ""))
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return " ".join(filter(None, [f"{' -> '.join(names)}:" if names else "", reason, remedy]))


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split())[:300] or type(error).__name__).rstrip(".")


@contextmanager
def told_as_mistakes() -> Iterator[None]:
    """Turn every error that `explain` knows into a DeepmarkError."""
    try:
        with extras_named():
            yield
    except Exception as error:
        message = explain(error)
        if message is None or isinstance(error, DeepmarkError):
            raise
        raise DeepmarkError(message) from error
