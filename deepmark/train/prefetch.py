"""Copies the images of batches to the device one step ahead of training."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from deepmark.train.targets import Batch


def on_device(steps: Iterable[Sequence[Batch]], device: torch.device) -> Iterator[list[Batch]]:
    """The batches of each step on the device, in order; each step's are sent before the previous step's are yielded.

    On CUDA a separate stream copies them. Where their memory is pinned (`collate`), copying overlaps with the work on
    the current stream, and the consumer's thread does not wait for it.

    Raises the errors of `steps`, one step early.
    """
    copy_stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    sent: tuple[list[Batch], torch.cuda.Event | None] | None = None
    for batches in steps:
        following = _send(batches, device, copy_stream)
        if sent is not None:
            yield _receive(*sent)
        sent = following
    if sent is not None:
        yield _receive(*sent)


def _send(
    batches: Sequence[Batch], device: torch.device, copy_stream: torch.cuda.Stream | None
) -> tuple[list[Batch], torch.cuda.Event | None]:
    with torch.cuda.stream(copy_stream):  # does nothing for None
        moved = [batch.to(device, non_blocking=True) for batch in batches]
    return moved, None if copy_stream is None else copy_stream.record_event()


def _receive(batches: list[Batch], arrival: torch.cuda.Event | None) -> list[Batch]:
    """The batches, safe to use in the current stream."""
    if arrival is not None:
        current = torch.cuda.current_stream(batches[0].images.device)
        current.wait_event(arrival)
        for batch in batches:
            # the memory is the copy stream's, which must not reuse it before the current stream is done with it
            batch.images.record_stream(current)
    return batches
