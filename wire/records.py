"""Records: a frozen dataclass declared once gives its encoding, its strict decoding and its CDDL.

A record is a CBOR array of its fields in order. Each field is annotated with its wire kind:

    @record("ping")
    @dataclass(frozen=True, slots=True)
    class Ping:
        nonce: Annotated[bytes, Bytes(32)]

Kinds bound every length, so that decoding never allocates more than the bytes that arrived. `record(name, tag=n)` puts
an unsigned integer first; `decode_one_of` reads one of several tagged records.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Annotated, Protocol, cast, get_args, get_origin, get_type_hints

from .cbor import Plain, encode_plain, parse_canonical
from .errors import MalformedError

_U64_MAX = (1 << 64) - 1


class Kind(Protocol):
    """The wire kind of a field."""

    def from_plain(self, plain: Plain) -> object:
        """The Python value; raises MalformedError."""
        ...

    def to_plain(self, value: object) -> Plain:
        """The CBOR value."""
        ...

    def cddl(self) -> str:
        """The CDDL type (RFC 8610)."""
        ...


@dataclass(frozen=True, slots=True)
class UInt:
    """An unsigned integer up to `maximum`."""

    maximum: int = _U64_MAX

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not int or not 0 <= plain <= self.maximum:
            raise MalformedError(f"expected an unsigned integer up to {self.maximum}")
        return plain

    def to_plain(self, value: object) -> Plain:
        return cast("int", value)

    def cddl(self) -> str:
        return "uint" if self.maximum == _U64_MAX else f"0..{self.maximum}"


@dataclass(frozen=True, slots=True)
class SInt:
    """A signed integer of 64 bits."""

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not int or not -(1 << 63) <= plain < 1 << 63:
            raise MalformedError("expected a signed integer of 64 bits")
        return plain

    def to_plain(self, value: object) -> Plain:
        return cast("int", value)

    def cddl(self) -> str:
        return "int"


@dataclass(frozen=True, slots=True)
class Const:
    """Always this integer: versions."""

    value: int

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not int or plain != self.value:
            raise MalformedError(f"expected {self.value}, got {plain!r:.40}")
        return plain

    def to_plain(self, value: object) -> Plain:
        return cast("int", value)

    def cddl(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Bytes:
    """A byte string: exactly `size` bytes, or `minimum` to `maximum`."""

    size: int | None = None
    maximum: int = 0
    minimum: int = 0

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not bytes:
            raise MalformedError("expected a byte string")
        if self.size is not None and len(plain) != self.size:
            raise MalformedError(f"expected {self.size} bytes, got {len(plain)}")
        if self.size is None and not self.minimum <= len(plain) <= self.maximum:
            raise MalformedError(f"expected {self.minimum} to {self.maximum} bytes, got {len(plain)}")
        return plain

    def to_plain(self, value: object) -> Plain:
        return cast("bytes", value)

    def cddl(self) -> str:
        return f"bstr .size {self.size}" if self.size is not None else f"bstr .size ({self.minimum}..{self.maximum})"


@dataclass(frozen=True, slots=True)
class Text:
    """A text string of at most `maximum` UTF-8 bytes."""

    maximum: int

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not str or len(plain.encode()) > self.maximum:
            raise MalformedError(f"expected text of at most {self.maximum} bytes")
        return plain

    def to_plain(self, value: object) -> Plain:
        return cast("str", value)

    def cddl(self) -> str:
        return f"tstr .size (0..{self.maximum})"


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false."""

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not bool:
            raise MalformedError("expected a boolean")
        return plain

    def to_plain(self, value: object) -> Plain:
        return cast("bool", value)

    def cddl(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class Nullable:
    """The inner kind, or null for None."""

    inner: Kind

    def from_plain(self, plain: Plain) -> object:
        return None if plain is None else self.inner.from_plain(plain)

    def to_plain(self, value: object) -> Plain:
        return None if value is None else self.inner.to_plain(value)

    def cddl(self) -> str:
        return f"{self.inner.cddl()} / null"


@dataclass(frozen=True, slots=True)
class Array:
    """At most `maximum` items of one kind, as a tuple."""

    inner: Kind
    maximum: int

    def from_plain(self, plain: Plain) -> object:
        if type(plain) is not list or len(plain) > self.maximum:
            raise MalformedError(f"expected an array of at most {self.maximum} items")
        read = self.inner.from_plain
        return tuple([read(item) for item in plain])

    def to_plain(self, value: object) -> Plain:
        write = self.inner.to_plain
        return [write(item) for item in cast("Sequence[object]", value)]

    def cddl(self) -> str:
        return f"[0*{self.maximum} {self.inner.cddl()}]"


@dataclass(frozen=True, slots=True)
class Nested:
    """Another record."""

    cls: type

    def from_plain(self, plain: Plain) -> object:
        return from_plain(cast("type[object]", self.cls), plain)

    def to_plain(self, value: object) -> Plain:
        return to_plain(value)

    def cddl(self) -> str:
        return _layout(self.cls).name


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several tagged records."""

    classes: tuple[type, ...]

    def from_plain(self, plain: Plain) -> object:
        return _one_of_from_plain(self.classes, plain)

    def to_plain(self, value: object) -> Plain:
        return to_plain(value)

    def cddl(self) -> str:
        return " / ".join(_layout(cls).name for cls in self.classes)


@dataclass(frozen=True, slots=True)
class _Layout:
    name: str
    tag: int | None
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    readers: tuple[Callable[[Plain], object], ...]
    writers: tuple[Callable[[object], Plain], ...]
    get: Callable[[object], tuple[object, ...]]


_LAYOUTS: dict[type, _Layout] = {}


def record[T](name: str, tag: int | None = None) -> Callable[[type[T]], type[T]]:
    """Declare the dataclass below as the record `name`; every field is `Annotated[type, kind]`."""

    def register(cls: type[T]) -> type[T]:
        hints = get_type_hints(cls, include_extras=True)
        names = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # a dataclass, or fields() raises
        kinds: list[Kind] = []
        for field_name in names:
            hint: object = hints[field_name]
            if get_origin(hint) is not Annotated:
                raise TypeError(f"{cls.__name__}.{field_name} has no wire kind")
            kinds.append(cast("Kind", get_args(hint)[1]))
        readers = tuple(kind.from_plain for kind in kinds)
        writers = tuple(kind.to_plain for kind in kinds)
        _LAYOUTS[cls] = _Layout(name, tag, names, tuple(kinds), readers, writers, _getter(names))
        return cls

    return register


def _getter(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """All fields of a record at once."""
    if len(names) < 2:
        return lambda value: tuple([getattr(value, name) for name in names])
    return cast("Callable[[object], tuple[object, ...]]", attrgetter(*names))


def _layout(cls: type) -> _Layout:
    return _LAYOUTS[cls]


def to_plain(value: object) -> Plain:
    """The CBOR value of a record."""
    layout = _LAYOUTS[type(value)]
    plain: list[Plain] = [write(field) for write, field in zip(layout.writers, layout.get(value), strict=True)]
    return plain if layout.tag is None else [layout.tag, *plain]


def from_plain[T](cls: type[T], plain: Plain) -> T:
    """The record of class `cls` in a CBOR value.

    Raises:
        MalformedError: a field is missing, surplus, of another type or out of bounds.
    """
    layout = _LAYOUTS[cls]
    offset = 0 if layout.tag is None else 1
    if type(plain) is not list or len(plain) != len(layout.names) + offset:
        raise MalformedError(f"{layout.name}: expected an array of {len(layout.names) + offset} items")
    if layout.tag is not None and (type(plain[0]) is not int or plain[0] != layout.tag):
        raise MalformedError(f"{layout.name}: expected tag {layout.tag}")
    items = plain[offset:]
    try:
        return cls(*[read(item) for read, item in zip(layout.readers, items, strict=True)])
    except MalformedError as error:
        raise MalformedError(f"{layout.name}.{_first_wrong(layout, items)}: {error}") from None


def _first_wrong(layout: _Layout, items: list[Plain]) -> str:
    for name, read, item in zip(layout.names, layout.readers, items, strict=True):
        try:
            read(item)
        except MalformedError:
            return name
    raise AssertionError("every field reads the second time")


def encode(value: object) -> bytes:
    """The canonical bytes of a record."""
    return encode_plain(to_plain(value))


def decode[T](cls: type[T], data: bytes, max_bytes: int) -> T:
    """The record of class `cls` that `data` canonically encodes.

    Raises:
        MalformedError: `data` is anything else; see `decode_plain` and `from_plain`.
    """
    return from_plain(cls, parse_canonical(data, max_bytes))


def decode_one_of[T](classes: tuple[type[T], ...], data: bytes, max_bytes: int) -> T:
    """The tagged record of one of `classes` that `data` encodes; raises MalformedError."""
    return cast("T", _one_of_from_plain(classes, parse_canonical(data, max_bytes)))


def _one_of_from_plain(classes: tuple[type, ...], plain: Plain) -> object:
    if type(plain) is not list or not plain or type(plain[0]) is not int:
        raise MalformedError("expected a tagged array")
    if (cls := _by_tag(classes).get(plain[0])) is None:
        raise MalformedError(f"unknown tag {plain[0]}")
    return from_plain(cast("type[object]", cls), plain)


@cache
def _by_tag(classes: tuple[type, ...]) -> dict[int, type]:
    return {tag: cls for cls in classes if (tag := _LAYOUTS[cls].tag) is not None}


def cddl(cls: type) -> str:
    """The CDDL rule of a record, one field per line, for the protocol pages."""
    layout = _LAYOUTS[cls]
    lines = [] if layout.tag is None else [f"  tag: {layout.tag},"]
    lines += [
        f"  {name.replace('_', '-')}: {kind.cddl()}," for name, kind in zip(layout.names, layout.kinds, strict=True)
    ]
    return "\n".join([f"{layout.name} = [", *lines, "]"])
