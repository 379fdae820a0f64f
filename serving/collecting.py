"""Streamed bodies, collected for those who cannot pass them on bit by bit."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

from serving.call import too_late

_ending: set[asyncio.Task[None]] = set()  # a task that nobody holds may be lost


async def collect(body: AsyncIterator[bytes], deadline: float) -> bytes:
    """All of a stream, which is closed in the end.

    Args:
        body: The stream.
        deadline: Time by which it has to end, on the clock of ``time.monotonic``, in seconds.

    Raises:
        ServingError: it broke off with this.
        DeadlineExceeded: it has not ended by the deadline. A chunk that is being made then is not
            waited for.
    """
    left = deadline - time.monotonic()
    try:
        async with asyncio.timeout(left if left < math.inf else None):
            return b"".join([chunk async for chunk in body])
    except TimeoutError:
        raise too_late("in") from None
    finally:
        _end_soon(body)


async def close(body: bytes | AsyncIterator[bytes]) -> None:
    """Let what makes a stream clean up; of a body that is whole, nothing."""
    end = getattr(body, "aclose", None)
    if end is not None:
        await end()


def _end_soon(body: AsyncIterator[bytes]) -> None:
    """Close a stream without waiting for a chunk that is being made."""
    task = asyncio.get_running_loop().create_task(close(body))
    _ending.add(task)
    task.add_done_callback(_ending.discard)
