"""git, as a process: the version of a workspace, its first commit, the copies of its experiments."""

import subprocess
from pathlib import Path

from deepmark.errors import DeepmarkError

IDENTITY = ("-c", "user.name=deepmark", "-c", "user.email=deepmark@localhost", "-c", "commit.gpgsign=false")
"""For commits that no person makes, and for machines where git does not know its user."""


def run_git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`git WORDS` in a folder, however it ends. Raises FileNotFoundError where git is not installed."""
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)


def git(folder: Path, *words: str) -> str:
    """What git prints, without spaces around it. Raises DeepmarkError with git's own message where it fails."""
    done = run_git(folder, *words)
    if done.returncode:
        raise DeepmarkError(f"{folder}: `git {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout.strip()
