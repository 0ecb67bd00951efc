"""The devices that this machine has for networks, and what the process that works on each is told."""

import os

MOST_LOADER_THREADS = 8
"""Of a process that reads images: a seventh of the time, each holds the interpreter lock, so more would only wait."""


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES has for them; none without one."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (named.split(",") if named else [str(number) for number in range(count)])[:count]


def device_environments(processes: int | None) -> list[dict[str, str]]:
    """The environment of each process that works on a device: one a GPU, or `processes` if that is fewer.

    Without GPUs it is `processes`, or one. Each gets its own GPU and an equal share of the cores, for arithmetic and
    for the threads that read ahead, unless the environment of this process says how many.
    """
    gpus = visible_gpus()
    count = min(processes or len(gpus), len(gpus)) if gpus else processes or 1
    share = max(1, (os.cpu_count() or 1) // count)
    threads = {"OMP_NUM_THREADS": share, "DEEPMARK_LOADER_THREADS": min(share, MOST_LOADER_THREADS)}
    told = {name: os.environ.get(name) or str(number) for name, number in threads.items()}
    return [{**told, **({"CUDA_VISIBLE_DEVICES": gpus[number]} if gpus else {})} for number in range(count)]
