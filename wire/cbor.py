"""Strict, canonical CBOR: the only encoding that is hashed, signed or sent.

A small subset of RFC 8949: unsigned and negative integers of 64 bits, byte and text strings, arrays, maps with
unsigned integer keys, booleans and null; definite lengths, shortest forms, sorted keys (section 4.2.1). Exactly one
encoding of a value is accepted. Size and depth are checked first, then the type of every item, then the bytes are
encoded again and compared: comparing alone would accept floats, dates, sets and `undefined` (decision 3).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, final

import cbor2

from .errors import MalformedError

MAX_DEPTH = 8
"""Nesting of arrays and maps; the deepest record of ours uses 5."""

type Plain = int | bytes | str | bool | list[Plain] | dict[int, Plain] | None


def encode_plain(value: Plain) -> bytes:
    """The canonical encoding of `value`."""
    return cbor2.dumps(value, canonical=True)


def decode_plain(data: bytes, max_bytes: int) -> Plain:
    """The value that `data` canonically encodes.

    Raises:
        MalformedError: more than `max_bytes`, deeper than `MAX_DEPTH`, another type, or not canonical.
    """
    value = parse_canonical(data, max_bytes)
    _check_types(value, MAX_DEPTH)
    return value


def parse_canonical(data: bytes, max_bytes: int) -> Plain:
    """As `decode_plain`, but without its look at every type: for callers that check each item against its kind.

    What is no `Plain` (a float, `undefined`, a simple value) can only stand where such a caller refuses it.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"{len(data)} bytes where at most {max_bytes} are allowed")
    try:
        value: Plain = cbor2.loads(
            data, max_depth=MAX_DEPTH, allow_indefinite=False, allow_duplicate_keys=False, semantic_decoders=_NO_TAGS
        )
        canonical = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, OverflowError, TypeError, RecursionError) as error:
        raise MalformedError(f"not CBOR: {error}") from error
    if canonical != data:
        raise MalformedError("not the canonical encoding")
    return value


@final
class _NoTags(Mapping[int, Callable[[object], NoReturn]]):
    """Refuses every tag while it is read: values shared through tags 28 and 29 may be cyclic, or endless to walk."""

    def __getitem__(self, key: int) -> Callable[[object], NoReturn]:
        return _refuse_tag

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


_NO_TAGS = _NoTags()


def _refuse_tag(_value: object, _immutable: object = None) -> NoReturn:
    raise ValueError("tags are not allowed")


def _check_types(value: object, room: int) -> None:
    kind = type(value)
    if kind is bytes or kind is bool or value is None or kind is str:
        return
    if isinstance(value, int) and kind is int:
        if not -(1 << 63) <= value < 1 << 64:
            raise MalformedError("integer of more than 64 bits")
    elif room == 0:  # cbor2 does not count a container that is empty
        raise MalformedError("nested too deep, or of a type that is not allowed")
    elif isinstance(value, list) and kind is list:
        for item in value:  # pyright: ignore[reportUnknownVariableType]  # any CBOR item
            _check_types(item, room - 1)  # pyright: ignore[reportUnknownArgumentType]  # any CBOR item
    elif isinstance(value, dict) and kind is dict:
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]  # any CBOR item
            if type(key) is not int or key < 0:  # pyright: ignore[reportUnknownArgumentType]  # any CBOR item
                raise MalformedError("map key that is no unsigned integer")
            _check_types(item, room - 1)  # pyright: ignore[reportUnknownArgumentType]  # any CBOR item
    else:
        raise MalformedError(f"type {kind.__name__} is not allowed")
