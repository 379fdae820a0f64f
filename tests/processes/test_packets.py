"""What the server and the template say to each other."""

import signal

import pytest

from serving.processes import packets
from serving.processes.packets import Kind, Packet


def test_a_packet_says_the_same_at_the_other_end() -> None:
    packet = Packet(Kind.ENDED, 2**22, -9)
    assert packets.unpack(packet.pack()) == packet


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (3, "ended with exit status 3"),
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        (-signal.SIGKILL, "was ended by SIGKILL, as is done where memory runs out"),
        (-(signal.SIGRTMIN + 3), f"was ended by signal {signal.SIGRTMIN + 3}"),
    ],
)
def test_a_status_says_how_a_process_ended(status: int, words: str) -> None:
    assert packets.describe(status) == words
