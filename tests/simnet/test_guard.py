import random  # noqa: TID251  # what is barred
import secrets
import socket
import time
from collections.abc import Callable
from types import FunctionType

import pytest

from latticework.simnet import NotSimulatedError, guarded

pytestmark = pytest.mark.unit


def as_if_ours(code: str) -> Callable[[], object]:
    """A function whose module is one of the product's."""
    names = {
        "__name__": "latticework.node.made_up",
        "time": time,
        "random": random,
        "secrets": secrets,
        "socket": socket,
    }
    return FunctionType(compile(code, "made_up", "eval"), names)


@pytest.mark.parametrize(
    "code",
    [
        "time.time()",
        "time.time_ns()",
        "time.monotonic()",
        "time.perf_counter()",
        "random.random()",
        "random.shuffle([])",
        "secrets.token_bytes(4)",
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 9))",
    ],
)
def test_our_code_may_not_ask_the_system_for_time_chance_or_sockets(code: str) -> None:
    with guarded(), pytest.raises(NotSimulatedError, match=r"latticework\.node\.made_up called"):
        as_if_ours(code)()


def test_everybody_else_may_and_so_may_we_when_the_run_is_over() -> None:
    before = time.monotonic
    with guarded():
        assert time.monotonic() > 0
        assert len(secrets.token_bytes(4)) == 4
        socket.socket().close()
    assert time.monotonic is before
    assert as_if_ours("time.monotonic()")()


def test_the_guard_is_taken_away_when_the_run_fails() -> None:
    before = random.random
    with pytest.raises(RuntimeError), guarded():
        raise RuntimeError
    assert random.random is before
