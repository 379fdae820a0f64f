"""What costs little is predicted on the loop."""

import threading

import pytest

from serving import batching
from serving.batching import Cost
from tests.batching.support import CHEAP, DeskOf, lines
from tests.support import Fake


class TestCost:
    @pytest.mark.parametrize(
        ("cost", "seconds", "rows"),
        [
            (Cost(0.0, 0.001), 0.002, 2),
            (Cost(0.001, 0.0005), 0.002, 2),
            (Cost(0.001, 0.0), 0.002, 1_000_000),
            (Cost(0.002, 0.0), 0.002, 1_000_000),
            (Cost(0.0, 0.0021), 0.002, 0),
            (Cost(0.0019, 0.0002), 0.002, 0),
            (Cost(float("inf"), float("inf")), 0.002, 0),
        ],
    )
    def test_rows_within_a_time(self, cost: Cost, seconds: float, rows: int) -> None:
        assert cost.rows_within(seconds) == rows


class TestCheapModels:
    """They are predicted on the loop."""

    async def test_calls_of_one_turn_are_predicted_together(self, desk_of: DeskOf) -> None:
        fake = Fake()
        desk = desk_of(fake.model(), CHEAP)
        replies = [desk.submit(number) for number in (1, 2, 3)]
        assert fake.calls == []
        assert [lines(await reply.answer()) for reply in replies] == [[2], [4], [6]]
        assert fake.calls == [[1, 2, 3]]
        assert lines(await desk.submit(4).answer()) == [8]
        assert fake.calls == [[1, 2, 3], [4]]
        assert set(fake.threads.values()) == {threading.get_ident()}

    async def test_a_turn_is_cut_into_calls_that_stay_cheap(self, desk_of: DeskOf) -> None:
        fake = Fake()
        two_rows = Cost(0.0, batching.INLINE_SECONDS / 2)
        desk = desk_of(fake.model(), two_rows)
        replies = [desk.submit(number) for number in range(5)]
        assert [lines(await reply.answer()) for reply in replies] == [[0], [2], [4], [6], [8]]
        assert fake.calls == [[0, 1], [2, 3], [4]]

    async def test_many_rows_are_not_cheap_and_go_to_the_thread(self, desk_of: DeskOf) -> None:
        fake = Fake()
        desk = desk_of(fake.model(), Cost(0.0, batching.INLINE_SECONDS / 2))
        assert lines(await desk.submit(1, 2, 3).answer()) == [2, 4, 6]
        assert fake.threads["predict"] != threading.get_ident()

    async def test_max_rows_holds_for_them_too(self, desk_of: DeskOf) -> None:
        fake = Fake()
        desk = desk_of(fake.model(), CHEAP, max_rows=2)
        for reply in [desk.submit(number) for number in range(3)]:
            await reply.answer()
        assert fake.calls == [[0, 1], [2]]

    @pytest.mark.parametrize("function", ["predict", "encode"])
    async def test_a_users_function_never_runs_on_the_loop(
        self, desk_of: DeskOf, function: str
    ) -> None:
        fake = Fake()
        desk = desk_of(fake.model(function), CHEAP)
        assert lines(await desk.submit(1).answer()) == [2]
        assert fake.threads["decode"] == threading.get_ident()
        assert fake.threads["predict"] == fake.threads["encode"] != threading.get_ident()
