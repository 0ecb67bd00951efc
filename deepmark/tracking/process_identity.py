"""Names for processes, and whether a named process is still alive."""

import os

import psutil


def this_process() -> str:
    """A name that no other process will have, not even after a reboot: host, process id, time of creation."""
    return _name(os.getpid())


def is_dead(name: str) -> bool:
    """Whether the process with a name of `this_process` is gone; False for other machines, which cannot be asked."""
    host, pid, _ = name.rsplit(":", 2)
    if host != os.uname().nodename:
        return False
    try:
        return _name(int(pid)) != name
    except psutil.NoSuchProcess:
        return True


def _name(pid: int) -> str:
    return f"{os.uname().nodename}:{pid}:{psutil.Process(pid).create_time():.2f}"
