"""The page of errors is complete, and no password, token or signature is in a message."""

import ast
from pathlib import Path

import pytest

from deepmark import errors
from deepmark.errors import DeepmarkError, redact

REPOSITORY = Path(__file__).parents[1]

SHOWN = {
    "postgresql://me:secret@host:5432/db?sslmode=secret": "postgresql://me:***@host:5432/db?sslmode=***",
    "mysql+pymysql://:secret@host/db": "mysql+pymysql://:***@host/db",
    "postgresql://me:se/cr?et@secret@host/db": "postgresql://me:***@host/db",
    "https://secret@git.example.org/a.git": "https://***@git.example.org/a.git",
    "https://me:secret@host/a": "https://me:***@host/a",
    "https://host/key?X-Amz-Credential=secret&X-Amz-Signature=secret": (
        "https://host/key?X-Amz-Credential=***&X-Amz-Signature=***"
    ),
    "get 'http://me:secret@host/' or s3://bucket/shards": "get 'http://me:***@host/' or s3://bucket/shards",
}


def test_the_module_of_errors_lists_every_exception_that_is_defined():
    defined = {
        node.name
        for package in ("deepmark", "assets", "pipelines")
        for file in (REPOSITORY / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    }
    listed = {line.split()[0] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")}

    assert listed == defined


@pytest.mark.parametrize("text", SHOWN)
def test_secrets_in_urls_are_hidden(text):
    assert redact(text) == SHOWN[text]


@pytest.mark.parametrize(
    "text",
    ["sqlite:////home/a b/mlflow.db", "http://127.0.0.1:5000/#/experiments/1", "postgresql://me@host/db", "1 @ 2"],
)
def test_everything_else_is_shown(text):
    assert redact(text) == text


def test_the_message_of_an_error_shows_no_secret():
    assert str(DeepmarkError("no s3 at https://host/key?sig=secret here")) == "no s3 at https://host/key?sig=*** here"
