"""Errors of the operating system and of libraries become one message; bugs become a request to report them."""

import errno
import io
import json
import os
import shlex
import subprocess
import sys

import pytest
from workspaces import refused

from deepmark.cli import registry
from deepmark.cli.errors import DEBUG, errors_told
from deepmark.errors import explain
from deepmark.workspace.environment import tool

BROKEN_BY = 130
"""The exit code after Ctrl-C: 128 + SIGINT."""


@pytest.fixture
def failing(deepmark, sharded_once, monkeypatch):
    """`deepmark models`, where something in it raises an error."""
    monkeypatch.delenv(DEBUG, raising=False)

    def command(error: BaseException, *words: str):
        def fail(_):
            raise error

        monkeypatch.setattr(registry, "open_workspace", fail)
        return deepmark(*words, "models", "--workspace", sharded_once.root)

    return command


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/data/photos/a.jpg")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, ("no space is left on the disk", "Free some")),
        (errno.EROFS, ("read-only", "Use a place that can be written")),
        (errno.EACCES, ("permission denied", "Change its permissions")),
        (errno.EISDIR, ("is a folder", "Name a file")),
        (errno.ENOTDIR, ("is a file, not a folder", "Name another place")),
        (errno.EEXIST, ("there is something of this name", "Move it away")),
        (errno.EMFILE, ("too many files are open", "ulimit -n")),
        (errno.ENAMETOOLONG, ("too long", "shorter")),
        (errno.EIO, ("the disk reports an error", "Check the disk")),
        (errno.ENOTTY, ("inappropriate ioctl for device",)),
    ],
)
def test_an_error_of_the_operating_system_names_file_reason_and_remedy(failing, number, words):
    assert refused(failing(system(number)), "deepmark models: /data/photos/a.jpg: ", *words)


def decoding() -> Exception:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"caf\xe9".decode()
    return caught.value


def parsing() -> Exception:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    return caught.value


def in_yaml() -> Exception:
    from ruamel.yaml import YAML, YAMLError

    with pytest.raises(YAMLError) as caught:
        YAML(typ="safe", pure=True).load("<<<<<<< HEAD\na: b: c")
    return caught.value


def in_arrow() -> Exception:
    import pyarrow as pa

    return pa.ArrowInvalid("Parquet magic bytes not found in footer.")


def in_database() -> Exception:
    import sqlite3

    return sqlite3.OperationalError("database is locked")


def in_weights() -> Exception:
    from safetensors import SafetensorError

    error = SafetensorError('Error while serializing: I/O error: Os { code: 28, kind: StorageFull, message: "No" }')
    error.add_note("while writing /data/model.safetensors")
    return error


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (decoding, "a file is not UTF-8 text ('utf-8' codec can't decode byte 0xe9"),
        (parsing, "a file that should be JSON is not: Expecting property name"),
        (in_yaml, "a YAML file cannot be read: "),
        (in_arrow, "a Parquet file cannot be read or written: Parquet magic bytes not found"),
        (in_database, "the database cannot be used: database is locked"),
        (in_weights, "while writing /data/model.safetensors: no space is left on the disk."),
        (MemoryError, "the machine is out of memory. Free some"),
        (lambda: RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "the GPU is out of memory (CUDA out of"),
        (lambda: ImportError("libGL.so.1: cannot open", name="cv2"), "a package cannot be loaded: libGL.so.1: cannot"),
    ],
)
def test_an_error_of_a_library_is_told_as_what_it_is(failing, make, message):
    assert refused(failing(make()), f"deepmark models: {message}")


def test_ctrl_c_is_told_with_its_own_exit_code(failing):
    done = failing(KeyboardInterrupt())

    assert (done.code, done.err) == (BROKEN_BY, "deepmark models: interrupted.\n")


def test_a_bug_is_a_request_to_report_it_and_its_traceback_is_kept(failing, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = failing(KeyError("caf\udce9"))

    assert refused(done, "deepmark models: DeepMark has a bug", "KeyError: ", "Please report it", "--debug")
    (kept,) = tmp_path.iterdir()
    assert str(kept) in done.err
    assert kept.read_text("utf-8").startswith("Traceback (most recent call last):")
    assert explain(KeyError("x")) is None


@pytest.mark.parametrize("words", [("--debug",), ()])
def test_the_traceback_is_shown_on_request(failing, monkeypatch, words):
    error = system(errno.ENOSPC)
    monkeypatch.setenv(DEBUG, "" if words else "1")
    done = failing(error, *words)

    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last):")
    assert done.err.splitlines()[-1].startswith("deepmark models: /data/photos/a.jpg: no space is left")


def test_no_traceback_shows_a_secret(failing, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(DEBUG, "")
    done = failing(KeyError("https://me:secret@host/a?sig=secret"), "--debug")
    (kept,) = tmp_path.iterdir()

    for text in (done.err, kept.read_text("utf-8")):
        assert "KeyError: 'https://me:***@host/a?sig=***'" in text
        assert "secret" not in text


def test_debug_may_stand_after_the_command(deepmark, tmp_path, monkeypatch):
    monkeypatch.setenv(DEBUG, "")
    done = deepmark("models", "--workspace", tmp_path, "--debug")

    assert "Traceback" in done.err
    assert "no workspace here" in done.err.splitlines()[-1]


def test_a_name_that_the_terminal_cannot_print_stops_no_message(monkeypatch):
    streams = {name: io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    with errors_told("deepmark detect"):
        print("été \udce9.jpg")

    streams["stdout"].flush()
    assert streams["stdout"].buffer.getvalue() == b"\\xe9t\\xe9 \\udce9.jpg\n"


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("length", [100, 100_000])
def test_an_output_whose_reader_has_ended_stops_no_work_and_changes_no_exit_code(length, unbuffered):
    done = _run_into(_ended_pipe(), f"print('x' * {length})\n    print('goes on', file=sys.stderr)", unbuffered)
    assert (done.returncode, done.stderr) == (0, b"goes on\n")

    done = _run_into(_ended_pipe(), f"print('x' * {length})\n    raise DeepmarkError('two images failed')", unbuffered)
    assert (done.returncode, done.stderr) == (1, b"deepmark: two images failed\n")


@pytest.mark.parametrize("end", ["", "raise typer.Exit(3)"])
@pytest.mark.parametrize("length", [100, 100_000])
def test_a_full_disk_below_the_output_is_told(length, end):
    done = _run_into(os.open("/dev/full", os.O_WRONLY), f"print('x' * {length})\n    {end}", "")

    assert done.returncode == 1
    assert done.stderr.startswith(b"deepmark: standard output: no space is left on the disk. Free some")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", ["--help", "train --help"])
def test_help_into_head_ends_well(words):
    """Both are printed by rich, which would end the process with 1; the general help before any command begins."""
    output = _ended_pipe()
    done = subprocess.run([tool("deepmark"), *words.split()], stdout=output, stderr=subprocess.PIPE, check=False)
    os.close(output)

    assert (done.returncode, done.stderr) == (0, b"")


def _ended_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _run_into(output: int, lines: str, unbuffered: str) -> subprocess.CompletedProcess[bytes]:
    """A command of these lines, with this standard output."""
    program = (
        "import sys, typer\n"
        "from deepmark.errors import DeepmarkError\n"
        "from deepmark.cli.errors import errors_told\n"
        f"with errors_told('deepmark'):\n    {lines}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        stdout=output,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(output)
    return done


def test_the_help_names_the_option(deepmark):
    assert "--debug" in deepmark("--help").out


def test_a_closed_standard_output_is_no_error():
    command = f"{shlex.quote(str(tool('deepmark')))} --version >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
