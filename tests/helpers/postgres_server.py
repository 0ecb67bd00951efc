"""A Postgres server on loopback, of its own and empty, where the binaries are installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

import psycopg2
from processes import free_port

USER, PASSWORD, DATABASE = "postgres", "p@ss: word", "postgres"


@dataclass(frozen=True)
class PostgresServer:
    """Where it listens; USER, PASSWORD and DATABASE are the same for all."""

    port: int

    @property
    def variables(self) -> dict[str, str]:
        """What the block in dagster.yaml asks the environment for."""
        return {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(self.port),
            "DAGSTER_PG_USERNAME": USER,
            "DAGSTER_PG_PASSWORD": PASSWORD,
            "DAGSTER_PG_DB": DATABASE,
        }

    def ask(self, query: str) -> list[tuple]:
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=DATABASE)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()


def binaries() -> Path | None:
    """The folder of initdb and postgres, which Debian keeps out of PATH; None where there is none."""
    found = [Path(name).resolve() for name in (shutil.which("initdb"),) if name]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run by a user that is not root, as Postgres demands; when the block ends, nothing of it is left."""
    folder, user = binaries(), _unprivileged()
    assert folder is not None
    with tempfile.TemporaryDirectory() as home:
        if user:
            shutil.chown(home, user["user"])
        _initdb(folder / "initdb", Path(home), user)
        server = PostgresServer(free_port())
        options = {"port": server.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        with subprocess.Popen(
            [folder / "postgres", "-D", f"{home}/data", *(f"--{name}={value}" for name, value in options.items())],
            cwd=home,
            stderr=subprocess.DEVNULL,
            **user,
        ) as running:
            try:
                _await(server, running)
                yield server
            finally:
                running.send_signal(SIGINT)  # "fast": it does not wait for whoever is still connected


def _initdb(initdb: Path, home: Path, user: dict[str, Any]) -> None:
    password = home / "password"
    password.write_text(PASSWORD)
    account = ("--username", USER, "--pwfile", password, "--auth", "scram-sha-256")
    details = ("--encoding", "UTF8", "--locale", "C", "--no-sync")
    command = [initdb, "--pgdata", home / "data", *account, *details]
    subprocess.run(command, cwd=home, check=True, capture_output=True, **user)


def _unprivileged() -> dict[str, Any]:
    """For subprocess, where we are root: another user, of no other groups."""
    if os.getuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def _await(server: PostgresServer, running: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        try:
            server.ask("SELECT 1")
            return
        except psycopg2.OperationalError:
            time.sleep(0.05)
    raise TimeoutError(f"postgres did not start (exit code {running.poll()})")
