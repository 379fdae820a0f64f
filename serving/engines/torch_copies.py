"""Rows on their way to a GPU while it computes others. Imports PyTorch, with CUDA."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Copies:
    """Copies to one GPU, on a stream of their own, from memory that the GPU reads by itself.

    Two threads use it: what one copies arrives while the other's rows are computed. Pinned memory
    and what is on the GPU come from PyTorch's caches, which know by the streams when a block is
    free again.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._turn = threading.Lock()

    def begin(self, tensors: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], torch.cuda.Event]:
        """Begin to copy tensors; gives those on the GPU, and what happens when they are there."""
        with torch.cuda.stream(self._stream):
            copies = [tensor.pin_memory().to(self._device, non_blocking=True) for tensor in tensors]
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(self._stream)
        return copies, arrived

    @contextmanager
    def computing(
        self, copies: Sequence[torch.Tensor], arrived: torch.cuda.Event
    ) -> Iterator[None]:
        """A time in which nobody else computes, from when the copies have arrived."""
        with self._turn:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(arrived)
            for copy in copies:
                copy.record_stream(stream)  # else its memory is given to the next copy too early
            yield
