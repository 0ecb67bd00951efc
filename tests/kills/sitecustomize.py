"""With this folder on PYTHONPATH, a training is killed at a write of one's choice: DEEPMARK_KILL="rename 12".

The twelfth write of that kind by the first process is its last: it kills its launcher and itself, as when the power
is cut. DEEPMARK_KILL="count FILE" kills nobody and notes how many writes of each kind there are.
"""

import atexit
import functools
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

KINDS = ("tensors", "text", "flush", "rename", "renamed", "remove", "metrics", "metrics_kept", "model")
"""Half a file of tensors or of text written; before a flush; before and after a rename; half a folder removed; inside
a transaction of MLflow and after it; while a model is logged."""

_seen: Counter[str] = Counter()


def _die() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _reached(kind: str) -> bool:
    _seen[kind] += 1
    wanted = os.environ["DEEPMARK_KILL"].split()
    return wanted[0] == kind and int(wanted[1]) == _seen[kind]


def _die_soon(seconds: float) -> None:
    def wait() -> None:
        time.sleep(seconds)
        _die()

    threading.Thread(target=wait, daemon=True).start()


def _halve(path: object) -> None:
    file = Path(str(path))
    os.truncate(file, file.stat().st_size // 2)
    _die()


def _arm() -> None:
    """Wrap the functions that write."""
    import shutil

    import mlflow
    import mlflow.pyfunc

    import deepmark.files as files
    import deepmark.model.detector as detector
    import deepmark.train.checkpoint as checkpoint

    def torn(module: object, name: str, kind: str, place: int) -> None:
        write = getattr(module, name)

        @functools.wraps(write)
        def wrapped(*words, **options):
            done = write(*words, **options)
            if _reached(kind):
                _halve(words[place])
            return done

        setattr(module, name, wrapped)

    torn(checkpoint, "save_file", "tensors", 1)
    torn(detector, "save_file", "tensors", 1)
    torn(Path, "write_text", "text", 0)

    def around(module: object, name: str, before: str, after: str | None = None, *, slowly: bool = False) -> None:
        function = getattr(module, name)

        @functools.wraps(function)
        def wrapped(*words, **options):
            if _reached(before):
                if slowly:
                    _die_soon(0.002)
                else:
                    _die()
            done = function(*words, **options)
            if after is not None and _reached(after):
                _die()
            return done

        setattr(module, name, wrapped)

    around(files, "_flush", "flush")
    around(Path, "rename", "rename", "renamed")
    around(Path, "replace", "rename", "renamed")
    around(mlflow.MlflowClient, "log_batch", "metrics", "metrics_kept", slowly=True)
    around(mlflow.pyfunc, "log_model", "model", slowly=True)

    def remove_half(function):
        @functools.wraps(function)
        def wrapped(path, *words, **options):
            if "epoch-" in str(path) and _reached("remove"):
                for file in sorted(Path(path).iterdir())[::2]:
                    file.unlink()
                _die()
            return function(path, *words, **options)

        return wrapped

    shutil.rmtree = remove_half(shutil.rmtree)


if os.environ.get("RANK") == "0" and "DEEPMARK_KILL" in os.environ:
    _arm()
    if os.environ["DEEPMARK_KILL"].startswith("count "):
        _file = os.environ["DEEPMARK_KILL"].split()[1]
        atexit.register(lambda: Path(_file).write_bytes(json.dumps(_seen).encode()))
