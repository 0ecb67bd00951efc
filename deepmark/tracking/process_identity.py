"""Which process wrote something, and whether it is still alive."""

import os

import psutil


def this_process() -> str:
    """A name for this process that no other will have, not even after a reboot: host, number, time of birth."""
    return _name(os.getpid())


def is_dead(name: str) -> bool:
    """Whether a process that `this_process` named is gone; of other machines nothing is known, so False."""
    host, number, _ = name.rsplit(":", 2)
    if host != os.uname().nodename:
        return False
    try:
        return _name(int(number)) != name
    except psutil.NoSuchProcess:
        return True


def _name(number: int) -> str:
    return f"{os.uname().nodename}:{number}:{psutil.Process(number).create_time():.2f}"
