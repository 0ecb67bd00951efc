"""Checkpoints of torch.save, read without running any code that they contain."""

import pickle
import re
import struct
import warnings
from pathlib import Path

import torch
from torch import Tensor

from deepmark.errors import DeepmarkError

_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(struct.error, pickle.UnpicklingError),
)
"""The errors that torch.load raises for damaged files and for files that torch.save did not write."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by CenterNet's names, on the CPU; no code in the file is run.

    Raises DeepmarkError where the file is missing, was not written by torch.save, contains code, or has no state_dict.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about old pickle formats, which can be read
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DeepmarkError(
            f"{path}: no such file. Give a checkpoint of CenterNet's, such as ctdet_coco_dla_2x.pth."
        ) from None
    except _UNREADABLE as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if code:
            raise DeepmarkError(
                f"{path}: holds Python objects ({code[1]}) beside weights, whose code would run: not opened. Where you "
                "trust it, save its state_dict alone: torch.save({'state_dict': …})."
            ) from None
        raise DeepmarkError(
            f"{path}: damaged, or not a file of torch.save ({_brief(error)}). Download it again."
        ) from None
    tensors = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        found = f"a dict of {', '.join(map(str, list(content)[:5]))}" if isinstance(content, dict) else type(content)
        raise DeepmarkError(
            f"{path}: no 'state_dict' of tensors in it (found: {found}), so not CenterNet's checkpoint."
        )
    return {str(key).removeprefix("module."): value for key, value in tensors.items()}


def _brief(error: BaseException) -> str:
    """The part of the error message that is about this file."""
    text = str(error).split("WeightsUnpickler error:")[-1].split()
    return " ".join(text)[:80] or type(error).__name__
