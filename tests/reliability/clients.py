"""Clients that are slow, leave, or ask for more than they read."""

import select
from contextlib import ExitStack, suppress

from tests.reliability.bench import IMPATIENT, SCRIPTED, TENSORS, Site
from tests.reliability.fault import Fault, Section
from tests.reliability.talk import CLOSED, head, heard_to_the_end, listed, raw, told
from tests.support import post

GOOD = raw(TENSORS.good)
BODY = head("Content-Type: application/json", "Content-Length: 1000") + b"[[1, 2], "
REFUSED = f"400 BadRequest, {CLOSED}"
TOO_SLOW = f"408 RequestTimeout, {CLOSED}"
DRIP_SECONDS = 0.1
CROWD, PIPELINED = 200, 1000


def drip(site: Site, start: bytes) -> str:
    """Send a byte now and then, until there is an answer."""
    with site.client() as client:
        client.send(start)
        while not select.select([client.sock], [], [], DRIP_SECONDS)[0]:
            client.send(b"1")
        return heard_to_the_end(client)


def silent_amidst_head(site: Site) -> str:
    """Many at once; others are answered meanwhile."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(site.client()) for _ in range(CROWD)]
        for client in crowd:
            client.send(GOOD[:30])
        site.check()
        (outcome,) = {heard_to_the_end(client) for client in crowd}
        return f"{outcome}, {CROWD} times; a good request is answered meanwhile"


def silent_amidst_body(site: Site) -> str:
    with site.client() as client:
        client.send(BODY)
        return heard_to_the_end(client)


def finished(site: Site, data: bytes) -> str:
    """Send so much, and say that no more comes."""
    with site.client() as client:
        client.send(data)
        client.finish()
        return heard_to_the_end(client)


def reset(site: Site, data: bytes) -> str:
    """Send so much, and leave as a process does that is killed."""
    with site.client() as client:
        client.send(data)
        client.reset()
        return "nobody is there to be answered"


def reset_amidst_stream(site: Site) -> str:
    with site.client() as client:
        client.send(raw(post(b"stream for ever", content_type="text/plain")))
        client.head()
        client.chunk()
        client.reset()
        site.until(lambda: "the generator has ended" in site.server.log)
        return "200 and some chunks; then the script's generator is ended"


def pipelined(site: Site) -> str:
    with site.client() as client:
        bodies = [b"[[%d, 0]]" % number for number in range(PIPELINED)]
        client.send(b"".join(raw(TENSORS.good._replace(body=body)) for body in bodies))
        answers = [client.answer() for _ in bodies]
        wanted = [b'{"doubled":[[%d.0,0.0]],"total":[%d.0]}' % (2 * n, n) for n in range(PIPELINED)]
        assert [answer.body for answer in answers] == wanted
        return listed([f"{answer.status}" for answer in answers]) + ", in their order"


def pipelined_with_rubbish(site: Site) -> str:
    with site.client() as client:
        client.send(GOOD * 50 + b"rubbish\r\n\r\n" + GOOD * 50)
        return heard_to_the_end(client)


def not_reading(site: Site) -> str:
    """Ask for more and more, and read nothing."""
    rows = b"[" + b"[1, 2], " * 10_000 + b"[1, 2]]"
    asking = raw(TENSORS.good._replace(body=rows))
    with site.client(receive_buffer=4096) as client:
        client.sock.setblocking(False)
        try:
            while True:
                with suppress(BlockingIOError):
                    client.send(asking)
                select.select([], [client.sock], [], DRIP_SECONDS)
        except ConnectionError:
            return "connection cut"


def idle(site: Site) -> str:
    """Many connections without a request; others are answered, and so are these in the end."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(site.client()) for _ in range(CROWD)]
        site.check()
        return listed([told(client.ask(GOOD)) for client in crowd])


CLIENTS = Section(
    "Clients",
    "Where time limits count, `SERVING_RECEIVE_TIMEOUT` is 0.5 s and "
    "`SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS` 1.5 s.",
    (
        Fault("a head that stops (slowloris)", f"30 bytes on each of {CROWD} connections",
              f"{TOO_SLOW}, {CROWD} times; a good request is answered meanwhile", IMPATIENT,
              silent_amidst_head),
        Fault("a head that drips", "a byte each 0.1 s", TOO_SLOW, IMPATIENT,
              lambda site: drip(site, head()[:-2] + b"X: ")),
        Fault("a body that stops", "9 bytes of 1,000", TOO_SLOW, IMPATIENT, silent_amidst_body),
        Fault("a body that drips", "a byte each 0.1 s", TOO_SLOW, IMPATIENT,
              lambda site: drip(site, BODY)),
        Fault("a client that never reads", "one request after another",
              "connection cut", IMPATIENT, not_reading),
        Fault("idle connections", f"{CROWD} of them, and later a request on each", "200 × 200",
              TENSORS, idle),
        Fault("a head that is cut short", "30 bytes, and no more to come", REFUSED, TENSORS,
              lambda site: finished(site, GOOD[:30])),
        Fault("a body that is cut short", "9 bytes of 1,000, and no more to come", REFUSED, TENSORS,
              lambda site: finished(site, BODY)),
        Fault("a client that leaves amidst a head", "30 bytes, and a reset",
              "nobody is there to be answered", TENSORS, lambda site: reset(site, GOOD[:30])),
        Fault("a client that leaves amidst a body", "9 bytes of 1,000, and a reset",
              "nobody is there to be answered", TENSORS, lambda site: reset(site, BODY)),
        Fault("a client that leaves before its answer", "100 requests, and a reset",
              "nobody is there to be answered", TENSORS, lambda site: reset(site, GOOD * 100)),
        Fault("a client that leaves amidst a stream", "a reset after the first chunk",
              "200 and some chunks; then the script's generator is ended", SCRIPTED,
              reset_amidst_stream),
        Fault("pipelined requests", f"{PIPELINED:,} in one go", "1,000 × 200, in their order",
              TENSORS, pipelined),
        Fault("pipelined requests around rubbish", "50, `rubbish`, and 50 more",
              f"50 × 200, {REFUSED}", TENSORS, pipelined_with_rubbish),
    ),
)  # fmt: skip
