"""Batches on their way to the device: the next one travels while this one is learnt."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

import torch

from deepmark.train.targets import Batch


def on_device(steps: Iterable[Sequence[Batch]], device: torch.device) -> Iterator[list[Batch]]:
    """The batches of each step on the device, in order; each step's are sent before the step ahead of it is given out.

    On CUDA they travel on a stream of their own; where their memory is pinned (`collate`), that overlaps with the work
    on the current stream, and the consumer's thread does not wait for it.

    Raises what `steps` raises, one step early.
    """
    courier = torch.cuda.Stream(device) if device.type == "cuda" else None
    sent: tuple[list[Batch], torch.cuda.Event | None] | None = None
    for batches in steps:
        following = _send(batches, device, courier)
        if sent is not None:
            yield _receive(*sent)
        sent = following
    if sent is not None:
        yield _receive(*sent)


def _send(
    batches: Sequence[Batch], device: torch.device, courier: torch.cuda.Stream | None
) -> tuple[list[Batch], torch.cuda.Event | None]:
    with torch.cuda.stream(courier):  # does nothing for None
        moved = [batch.to(device, non_blocking=True) for batch in batches]
    return moved, None if courier is None else courier.record_event()


def _receive(batches: list[Batch], arrival: torch.cuda.Event | None) -> list[Batch]:
    """The batches, safe to use in the current stream."""
    if arrival is not None:
        current = torch.cuda.current_stream(batches[0].images.device)
        current.wait_event(arrival)
        for batch in batches:
            for field in fields(batch):
                # the memory was the courier's: it must not take it back before the current stream is done with it
                getattr(batch, field.name).record_stream(current)
    return batches
