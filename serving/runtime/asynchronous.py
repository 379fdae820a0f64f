"""Asynchronous invocations: taken at once, worked on when there is room, answered in a file.

A request that was answered 202 lies in a spool (spool.py) until its answer, or its error, lies
where the client was told. So it is worked on at least once, whoever dies meanwhile; it is worked
on twice if its worker dies between the two.
"""

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path

import orjson

from serving.call import Handler
from serving.errors import ServingError
from serving.lane import Lane
from serving.runtime import faults, stores
from serving.runtime.answers import succeeded
from serving.runtime.asking import ask, in_thread
from serving.runtime.faults import (
    Fault,
    InternalFailure,
    ModelError,
    ServiceUnavailable,
    ValidationError,
)
from serving.runtime.jobs import Places
from serving.runtime.spool import MOST_ATTEMPTS, MOST_WAITING, Claim, Full, Job, Slot, Spool
from serving.settings import Settings
from serving.values import Request, Response

log = logging.getLogger("serving")

SCAN_SECONDS = 1.0
"""Time between two looks into the spool for what other workers took in, or left behind."""

RETRY_SECONDS = 1.0
"""Time until a model that was busy, or a store that failed, is tried again."""

RETRY_AFTER = "10"
"""Seconds after which a client may find room in the spool."""


class Asynchronous:
    """The asynchronous invocations of one worker. Its methods are called on the event loop."""

    def __init__(
        self, handle: Handler, loop: asyncio.AbstractEventLoop, settings: Settings
    ) -> None:
        """Begin to work on what the spool has."""
        self.places = Places.of(settings)
        self._handle = handle
        self._loop = loop
        self._most_bytes = settings.max_body
        self._most_seconds = settings.request_timeout
        self._spool = Spool(spool_folder(settings), settings.async_concurrency)
        self._lane = Lane("async-spool", loop)
        self._wake = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._watching = loop.create_task(self._watch())

    async def accept(self, job: Job) -> Response:
        """Promise to work on a job: the answer to the client.

        Raises:
            ServiceUnavailable: too many wait.
            InternalFailure: the spool cannot be written.
        """
        try:
            await in_thread(self._lane, self._spool.add, job)
        except Full:
            error = ServiceUnavailable(f"{MOST_WAITING} requests wait already.")
            error.headers = (("retry-after", RETRY_AFTER),)
            raise error from None
        except OSError as error:
            log.exception("the spool of asynchronous invocations cannot be written")
            raise InternalFailure("The request cannot be kept; see the server's log.") from error
        self._wake.set()
        headers = (
            ("x-amzn-sagemaker-outputlocation", job.output),
            ("x-amzn-sagemaker-failurelocation", job.failure),
        )
        content = orjson.dumps({"InferenceId": job.inference_id})
        return Response(202, content, "application/json", headers)

    async def drain(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._stop()
        await self._watching
        if self._working:
            await asyncio.wait(self._working)

    def close(self) -> None:
        """Stop. What was begun is begun anew by whoever reads the spool next."""
        self._stop()
        for task in self._working:
            task.cancel()

    def _stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def _watch(self) -> None:
        """Begin as much as there are slots for, whenever there may be something to do."""
        failing = False
        while not self._stopping:
            self._wake.clear()
            try:
                await self._begin()
            except OSError:
                if not failing:
                    log.exception("the spool of asynchronous invocations cannot be read")
                failing = True
            else:
                failing = False
            with suppress(TimeoutError):
                async with asyncio.timeout(SCAN_SECONDS):
                    await self._wake.wait()

    async def _begin(self) -> None:
        while (taken := await in_thread(self._lane, self._take)) is not None:
            slot, claim = taken
            if self._stopping:
                claim.forgive()
                claim.release()
                slot.release()
                return
            task = self._loop.create_task(self._work(slot, claim))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    def _take(self) -> tuple[Slot, Claim] | None:
        slot = self._spool.slot()
        if slot is None:
            return None
        claim = self._spool.claim()
        if claim is None:
            slot.release()
            return None
        return slot, claim

    async def _work(self, slot: Slot, claim: Claim) -> None:
        lane = Lane("async-store", self._loop)
        try:
            address, content = await self._outcome(claim, lane)
            await self._deliver(claim.job, address, content, lane)
            claim.finish()
        except asyncio.CancelledError:
            claim.forgive()
            raise
        finally:
            claim.release()
            lane.close()
            slot.release()
            self._wake.set()

    async def _outcome(self, claim: Claim, lane: Lane) -> tuple[str, bytes]:
        """What is to be written, and where."""
        job = claim.job
        try:
            if claim.attempts > MOST_ATTEMPTS:
                raise InternalFailure(f"The server ended {MOST_ATTEMPTS} times while it worked.")
            body = job.body
            if job.input:
                body = await in_thread(lane, stores.read, job.input, self._most_bytes)
            return job.output, await self._ask(job, body)
        except Fault as fault:
            return job.failure, _told(fault)
        except ServingError as error:
            return job.failure, _told(ValidationError(str(error)))

    async def _ask(self, job: Job, body: bytes) -> bytes:
        """The model's answer. Raises Fault. A model that is busy or loading is asked again."""
        # A prediction that takes longer than this server allows would cost it a worker.
        timeout = min(job.timeout, self._most_seconds)
        while time.time() < job.expires:
            deadline = time.monotonic() + timeout
            request = Request("POST", "/invocations", job.headers, body, deadline=deadline)
            answer, content = await ask(self._handle, request)
            if succeeded(answer):
                return content
            fault = faults.of_answer(answer, content)
            if not faults.passes(fault):
                raise fault
            await asyncio.sleep(RETRY_SECONDS)
        raise ModelError(
            ModelError.TIMED_OUT, "The request has waited longer than its RequestTTLSeconds."
        )

    async def _deliver(self, job: Job, address: str, content: bytes, lane: Lane) -> None:
        """Write the outcome, if need be again and again until the request is too old."""
        while True:
            try:
                await in_thread(lane, stores.write, address, content)
            except ServingError as error:
                if time.time() > job.expires:
                    log.exception("the outcome of request %s is lost", job.request_id)
                    return
                log.warning("the outcome of request %s has to wait: %s", job.request_id, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


def check(settings: Settings) -> None:
    """Return if the settings name places that can be written.

    Raises:
        ConfigurationError: they do not.
    """
    if settings.async_output:
        for place in (settings.async_output, settings.async_failures, spool_folder(settings)):
            if place:
                stores.check(str(place))


def spool_folder(settings: Settings) -> Path:
    """Where requests wait: in the folder of the answers, unless that is none or another is set."""
    if settings.async_spool:
        return Path(settings.async_spool)
    output = stores.local(settings.async_output)
    return settings.cache / "async-spool" if output is None else output / ".spool"


def _told(fault: Fault) -> bytes:
    """What is written in the place of an answer."""
    return orjson.dumps({"Code": fault.type, **fault.members()})
