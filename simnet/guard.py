"""A guard around a simulated run: what would make it differ from run to run raises where our code calls it.

Clocks, randomness and sockets of the system are replaced by functions that look who calls: code of `latticework` gets
`NotSimulatedError`, everybody else (trio, logging, the test runner) the real thing. Names that a module imported before
(`from time import monotonic`) are out of reach; lint bans those.
"""

import inspect
import os
import random  # noqa: TID251  # to bar it
import secrets
import socket
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType
from typing import Final, final

from latticework.wire import LocalError

_OURS: Final = "latticework."
_ALLOWED: Final = "latticework.simnet.guard"
_BARRED: Final[tuple[tuple[ModuleType | type, tuple[str, ...]], ...]] = (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")),
    (random, ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits")),
    (os, ("urandom", "getrandom")),
    (secrets, ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "randbits", "choice")),
    (uuid, ("uuid1", "uuid4")),
    (socket, ("create_connection", "create_server", "getaddrinfo", "gethostbyname", "socketpair")),
    (socket.socket, ("__init__",)),
)


@final
class NotSimulatedError(LocalError):
    """Code that runs in a simulation asked the system for time, chance or a socket: it belongs behind a port."""


@contextmanager
def guarded() -> Generator[None]:
    """Inside, `latticework` code that reads a real clock, draws real chance or opens a socket gets an error."""
    real: list[tuple[ModuleType | type, str, object]] = []
    for module, names in _BARRED:
        for name in names:
            if callable(function := getattr(module, name, None)):
                real.append((module, name, function))
                setattr(module, name, _barred(f"{module.__name__}.{name}", function))
    try:
        yield
    finally:
        for module, name, function in real:
            setattr(module, name, function)


def _barred[**P, R](name: str, real: Callable[P, R]) -> Callable[P, R]:
    @wraps(real, updated=())
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        frame = inspect.currentframe()
        caller = "" if frame is None or frame.f_back is None else str(frame.f_back.f_globals.get("__name__", ""))
        if caller.startswith(_OURS) and caller != _ALLOWED:
            raise NotSimulatedError(f"{caller} called {name} in a simulation: it belongs behind a port")
        return real(*arguments, **named)

    return call
