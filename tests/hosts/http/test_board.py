"""What workers know of one another, and who of them should take a connection."""

from serving.hosts.http.board import Board, Phase


def board_of(*connections: int) -> Board:
    """A board of workers that are ready and have so many connections."""
    board = Board(len(connections))
    for slot, count in enumerate(connections):
        board.set_phase(slot, Phase.READY)
        board.set_connections(slot, count)
    return board


def test_a_worker_takes_the_first_free_slot() -> None:
    board = Board(3)

    assert [board.take() for _ in range(3)] == [0, 1, 2]
    assert [board.phase(slot) for slot in range(3)] == [Phase.STARTING] * 3
    board.free(1)
    assert board.phase(1) is Phase.FREE
    assert board.take() == 1


def test_workers_beyond_the_slots_share_the_last_one() -> None:
    board = Board(2)

    assert [board.take() for _ in range(4)] == [0, 1, 1, 1]


def test_the_ready_worker_with_the_fewest_connections_is_best_placed() -> None:
    board = board_of(3, 2, 2)

    assert [board.surplus(slot) for slot in range(3)] == [1, 0, 0]


def test_a_worker_knows_by_how_much_it_is_ahead() -> None:
    board = board_of(12, 2, 5)

    assert [board.surplus(slot) for slot in range(3)] == [10, 0, 3]


def test_connections_in_a_handshake_count() -> None:
    board = board_of(3, 3)
    board.set_opening(1, 2)

    assert [board.surplus(slot) for slot in range(2)] == [0, 2]
    board.free(1)
    assert board.connections(1) == 0


def test_the_connections_of_workers_that_can_answer_are_told() -> None:
    board = board_of(3, 4, 5)
    board.set_phase(1, Phase.STOPPING)

    assert board.of_workers() == {0: 3, 2: 5}


def test_a_worker_that_cannot_answer_leaves_connections_to_one_that_can() -> None:
    for phase in (Phase.STARTING, Phase.STOPPING):
        board = board_of(0, 9)
        board.set_phase(0, phase)

        assert board.surplus(0)
        assert not board.surplus(1)


def test_a_worker_takes_connections_where_no_other_can_answer() -> None:
    for phase in (Phase.STARTING, Phase.STOPPING):
        board = Board(3)
        board.set_phase(0, phase)

        assert not board.surplus(0)


def test_a_freed_slot_counts_no_more() -> None:
    board = board_of(5, 0)
    board.free(1)

    assert not board.surplus(0)
    assert board.take() == 1
    board.set_phase(1, Phase.READY)
    board.set_connections(0, 0)
    assert not board.surplus(0)


def test_a_board_has_served_once_a_worker_is_ready() -> None:
    board = Board(2)
    for phase, served in [
        (Phase.STARTING, False),
        (Phase.READY, True),
        (Phase.STOPPING, True),
        (Phase.FREE, False),
    ]:
        board.set_phase(1, phase)

        assert board.served is served
