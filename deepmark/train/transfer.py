"""Batches on their way to the device: the next one travels while this one is learnt."""

from collections.abc import Iterable, Iterator
from dataclasses import fields

import torch

from deepmark.train.targets import Batch


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches on the device, in their order; each is sent off before the one ahead of it is given out.

    On CUDA they travel on a stream of their own; where their memory is pinned (`collate`), that overlaps with the work
    on the current stream, and the consumer's thread does not wait for it.

    Raises what `batches` raises, one batch early.
    """
    courier = torch.cuda.Stream(device) if device.type == "cuda" else None
    sent: tuple[Batch, torch.cuda.Event | None] | None = None
    for batch in batches:
        following = _send(batch, device, courier)
        if sent is not None:
            yield _receive(*sent)
        sent = following
    if sent is not None:
        yield _receive(*sent)


def _send(
    batch: Batch, device: torch.device, courier: torch.cuda.Stream | None
) -> tuple[Batch, torch.cuda.Event | None]:
    with torch.cuda.stream(courier):  # does nothing for None
        moved = batch.to(device, non_blocking=True)
    return moved, None if courier is None else courier.record_event()


def _receive(batch: Batch, arrival: torch.cuda.Event | None) -> Batch:
    """The batch, safe to use in the current stream."""
    if arrival is not None:
        current = torch.cuda.current_stream(batch.images.device)
        current.wait_event(arrival)
        for field in fields(batch):
            # the memory was the courier's: it must not take it back before the current stream is done with it
            getattr(batch, field.name).record_stream(current)
    return batch
