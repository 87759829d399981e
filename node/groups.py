"""Nurseries raise groups; our callers decide by one error."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import trio

from latticework.wire import LatticeError

_OURS = (LatticeError, trio.TooSlowError, OSError)


@contextmanager
def first_error() -> Generator[None]:
    """Turn a group that holds nothing but errors of ours, or of the system, into the first; other groups pass whole.

    For a nursery whose tasks serve one end, where the first error is the cause and the others are its echo.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        ours, others = group.split(_OURS)
        cancelled = others is None or others.split(trio.Cancelled)[1] is None
        if ours is None or not cancelled:
            raise
        raise _leaf(ours) from group


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _leaf(cast("BaseExceptionGroup[BaseException]", first)) if isinstance(first, BaseExceptionGroup) else first
