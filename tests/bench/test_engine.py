"""The load generator against small servers: what it offers, and what it says of the answers."""

import socket
from itertools import count, repeat
from threading import Barrier, Semaphore

from serving.bench.plan import Stage, arrivals, open_stage
from tests.bench.support import OK, answering, engine_for, listening
from tests.support import PATIENCE

REFUSED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def test_a_closed_loop_has_one_request_under_way_on_each_connection() -> None:
    most, under_way = Semaphore(3), []

    def talk(client: socket.socket) -> None:
        while client.recv(65536):
            under_way.append(most.acquire(blocking=False))
            most.release()
            client.sendall(OK)

    with listening(talk) as port, engine_for(port) as engine:
        seen = engine.run(Stage(0.2, connections=3))
    assert all(under_way)
    assert seen.due == seen.statuses[200] == seen.latencies.total == len(under_way) > 3


def test_fewer_connections_are_used_where_a_stage_has_fewer() -> None:
    open_now: set[socket.socket] = set()
    most: list[int] = []

    def talk(client: socket.socket) -> None:
        open_now.add(client)
        while client.recv(65536):
            most.append(len(open_now))
            client.sendall(OK)
        open_now.discard(client)

    with listening(talk) as port, engine_for(port) as engine:
        engine.run(Stage(0.1, connections=8))
        assert max(most) == 8
        engine.run(Stage(0.1, connections=2))  # in which the others are seen to leave
        most.clear()
        engine.run(Stage(0.1, connections=2))
    assert max(most) == 2


def test_an_open_loop_sends_all_that_is_due_though_nothing_is_answered() -> None:
    stage = open_stage(0.1, 400)
    due = list(arrivals(stage, 0))
    all_are_there = Barrier(len(due))

    def talk(client: socket.socket) -> None:
        client.recv(65536)
        all_are_there.wait(PATIENCE)
        client.sendall(OK)

    with listening(talk) as port, engine_for(port, most=200) as engine:
        seen = engine.run(stage)
    assert seen.due == seen.latencies.total == len(due)


def test_time_runs_from_when_a_request_was_due() -> None:
    """One connection for ten requests that are due at once: each waits for those before it."""
    with listening(answering(OK)) as port, engine_for(port, most=1) as engine:
        seen = engine.run(open_stage(0.001, 10_000))
    assert seen.due == seen.latencies.total > 1
    assert seen.latencies.longest > seen.latencies.shortest


def test_other_answers_are_counted_apart() -> None:
    with listening(answering(OK, REFUSED)) as port, engine_for(port) as engine:
        seen = engine.run(Stage(0.1, connections=1))
    assert seen.statuses.keys() == {200, 503}
    assert (seen.latencies.total, seen.refusals.total) == (seen.statuses[200], seen.statuses[503])
    assert sum(second.errors for second in seen.seconds) == seen.statuses[503]


def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections() -> None:
    with listening(answering(CLOSING)) as port, engine_for(port) as engine:
        seen = engine.run(Stage(0.1, connections=2))
    assert seen.statuses[200] == seen.due > 2
    assert not seen.failures


def test_a_request_that_meets_the_end_of_a_connection_is_sent_again() -> None:
    numbers = count()

    def talk(client: socket.socket) -> None:
        first = next(numbers) == 0
        client.recv(65536)
        client.sendall(OK)
        if first:
            client.recv(65536)  # the second request, which nobody answers
            return
        answering(OK)(client)

    with listening(talk) as port, engine_for(port) as engine:
        seen = engine.run(Stage(0.1, connections=1))
    assert next(numbers) == 2
    assert seen.statuses[200] == seen.due
    assert not seen.failures


def test_no_server_is_a_failure_of_its_kind() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        with engine_for(taken.getsockname()[1]) as engine:
            seen = engine.run(open_stage(0.05, 100))
    assert seen.failures == {"connection refused": seen.due}


def test_what_is_no_http_is_a_failure_of_its_kind() -> None:
    with listening(answering(b"hello\r\n\r\n")) as port, engine_for(port) as engine:
        seen = engine.run(open_stage(0.05, 100))
    assert seen.failures == {"no HTTP response": seen.due}


def test_an_answer_that_breaks_off_is_a_failure_of_its_kind() -> None:
    def talk(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(OK[:-1])

    with listening(talk) as port, engine_for(port) as engine:
        seen = engine.run(open_stage(0.05, 100))
    assert seen.failures == {"closed in an answer": seen.due}


def test_silence_is_a_failure_once_time_is_over() -> None:
    def talk(client: socket.socket) -> None:
        while client.recv(65536):
            pass

    with listening(talk) as port, engine_for(port, timeout=0.1) as engine:
        seen = engine.run(open_stage(0.05, 100))
    assert seen.failures == {"no answer in 0.1 s": seen.due}


def test_a_large_request_is_sent_while_the_server_reads() -> None:
    large = b"POST / HTTP/1.1\r\n\r\n" + bytes(5_000_000)
    received: list[int] = []

    def talk(client: socket.socket) -> None:
        left = 0
        while data := client.recv(65536):
            left = (left or len(large)) - len(data)
            if not left:
                received.append(len(large))
                client.sendall(OK)

    with listening(talk) as port, engine_for(port) as engine:
        engine._requests = repeat(large)
        seen = engine.run(Stage(0.05, connections=2))
    assert not seen.failures
    assert seen.statuses[200] == seen.due == len(received) >= 2
