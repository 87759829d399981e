"""What a caller may write into a document, and how it is held.

Python values become what people can edit together: a dict a map, a list or tuple a list, a set a set, a string a text.
`Atom` keeps a string one value that is replaced as a whole, `Count` makes a counter.
"""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import final

from .doc_ops import Double, Kind, Make, Scalar
from .doc_paths import WrongKindError
from .params import MAX_DOCUMENT_DEPTH, MAX_INSERT_CHARACTERS, MAX_KEY_BYTES, MAX_SCALAR_BYTES


@final
@dataclass(frozen=True, slots=True)
class Atom:
    """A string that is one value: a name, a state, a link."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Count:
    """A counter that begins at `start`."""

    start: int = 0


type Member = bool | int | float | str | bytes | Atom | None
type Input = Member | Count | Mapping[str, Input] | Sequence[Input] | AbstractSet[Member]


def written(value: Input) -> Scalar | Make:
    """How `value` is written: as itself, or as a container that is filled afterwards.

    Raises:
        WrongKindError: it cannot be.
    """
    match value:
        case str():
            return Make(Kind.TEXT)
        case Count():
            return Make(Kind.COUNTER)
        case None | bool() | int() | float() | bytes() | Atom():
            return scalar_of(value)
        case Mapping():
            return Make(Kind.MAP)
        case AbstractSet():
            return Make(Kind.SET)
        case Sequence():
            return Make(Kind.LIST)
    raise WrongKindError(f"a document cannot hold a {type(value).__name__}")


def scalar_of(value: Member) -> Scalar:
    """A member of a set, or a value that is replaced as a whole.

    Raises:
        WrongKindError: it is NaN, too large, or nothing that can be written.
    """
    match value:
        case None | bool():
            return value
        case int():
            return counted(value)
        case float():
            if math.isnan(value):
                raise WrongKindError("NaN is no value")
            return Double.of(value)
        case Atom(text=text) | (str() as text):
            if len(checked(text).encode()) > MAX_SCALAR_BYTES:
                raise WrongKindError(f"a string of more than {MAX_SCALAR_BYTES} bytes; write it as a text")
            return text
        case bytes():
            if len(value) > MAX_SCALAR_BYTES:
                raise WrongKindError(f"a byte string of more than {MAX_SCALAR_BYTES} bytes")
            return value
    raise WrongKindError(f"{type(value).__name__} is no single value")


def counted(number: int) -> int:
    """An integer of 64 bits; raises WrongKindError."""
    if isinstance(number, bool) or not -(1 << 63) <= number < 1 << 63:
        raise WrongKindError("not an integer of 64 bits")
    return number


def checked(text: str) -> str:
    """Text that UTF-8 can carry; raises WrongKindError for half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WrongKindError("half of a surrogate pair is no character") from None
    return text


def key_of(key: object) -> str:
    """A key of a map; raises WrongKindError."""
    if not isinstance(key, str) or len(checked(key).encode()) > MAX_KEY_BYTES:
        raise WrongKindError(f"a key is a string of at most {MAX_KEY_BYTES} bytes")
    return key


def check(value: Input, depth: int) -> None:
    """Refuse what cannot be written, before anything is; `depth` is that of a container that `value` becomes.

    Raises:
        WrongKindError: see `written`, or it is nested too deep.
    """
    kind = written(value)
    if not isinstance(kind, Make):
        return
    if depth > MAX_DOCUMENT_DEPTH:
        raise WrongKindError(f"more than {MAX_DOCUMENT_DEPTH} containers inside one another")
    match value:
        case str():
            checked(value)
        case Count(start=start):
            counted(start)
        case Mapping():
            for key, inner in value.items():
                key_of(key)
                check(inner, depth + 1)
        case AbstractSet():
            for member in value:
                scalar_of(member)
        case Sequence():
            for inner in value:
                check(inner, depth + 1)
        case _:
            pass


def pieces(text: str) -> list[str]:
    """A text in pieces that one operation may carry each."""
    return [text[at : at + MAX_INSERT_CHARACTERS] for at in range(0, len(text), MAX_INSERT_CHARACTERS)]
