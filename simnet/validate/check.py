"""One figure of ours beside the one it should be: what every validation is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that was expected, from `source`, and what we got; `ok` says that they are within `tolerance`.

    `id` is the check's row in the validation plan, for example V4; `what` says the parameters and the unit.
    """

    id: str
    what: str
    expected: float
    got: float
    tolerance: float
    source: str
    ok: bool


def check(id_: str, what: str, expected: float, got: float, tolerance: float, source: str) -> Check:
    """The check of `got` against `expected`, at most `tolerance` apart. A figure that is no number is not ok."""
    return Check(id_, what, float(expected), float(got), tolerance, source, ok=bool(abs(got - expected) <= tolerance))
