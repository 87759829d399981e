"""Paths inside a space: relative byte strings, `/` between components.

A file name is whatever a file system allows, so names are bytes. The rules here are the same on every replica: what
they refuse has no effect anywhere. Whether *this* disk can hold a name is decided where the disk is.
"""

import hashlib

from .hlc import hlc_utc
from .params import MAX_COMPONENT_BYTES, MAX_PATH_BYTES

MARKER_DIRECTORY = b".lattice"
"""Our own directory at the root of a folder; never part of a space."""


def path_refusal(path: bytes) -> str | None:
    """Why `path` may not name anything in a space, or None."""
    if not path or len(path) > MAX_PATH_BYTES:
        return "the path is empty or too long"
    if b"\x00" in path:
        return "the path holds a zero byte"
    components = path.split(b"/")
    if any(component in {b"", b".", b".."} for component in components):
        return "the path is absolute or climbs"
    if any(len(component) > MAX_COMPONENT_BYTES for component in components):
        return "a name in the path is longer than 255 bytes"
    if components[0].lower() == MARKER_DIRECTORY:
        return "the path lies in the folder's own directory"
    return None


def child_path(directory: bytes, name: bytes) -> bytes | None:
    """The path of `name` inside `directory` (b"" is the root), or None where `path_refusal` would refuse it."""
    if not name or len(name) > MAX_COMPONENT_BYTES or b"/" in name or b"\x00" in name or name in {b".", b".."}:
        return None
    if directory:
        path = directory + b"/" + name
        return path if len(path) <= MAX_PATH_BYTES else None
    return None if name.lower() == MARKER_DIRECTORY else name


def ancestors(path: bytes) -> list[bytes]:
    """The directories above `path`, nearest first."""
    found: list[bytes] = []
    cut = path.rfind(b"/")
    while cut > 0:
        found.append(path[:cut])
        cut = path.rfind(b"/", 0, cut)
    return found


def conflict_path(path: bytes, device_name: str, hlc: int, salt: bytes | None) -> bytes:
    """Where the losing side of a conflict at `path` is shown: `name (device, UTC time).ext` (decision 23).

    `salt` adds hexadecimal digits where the plain name is taken; a stem that must be cut gets 32 of them.
    """
    directory, slash, name = path.rpartition(b"/")
    stem, dot, extension = name.rpartition(b".")
    if not stem or len(extension) > 20:
        stem, dot, extension = name, b"", b""
    device = "".join(c if c.isalnum() or c in " -_." else "_" for c in device_name).strip(". ") or "device"
    when = hlc_utc(hlc).strftime("%Y-%m-%d %H-%M-%S")
    inner = f"{device[:40]}, {when}"
    added = len(inner.encode()) + len(dot + extension) + len(b" (, )") + 32
    too_deep = len(directory + slash) + added >= MAX_PATH_BYTES
    if too_deep:
        directory, slash = b"", b""  # no room for a longer name there: the copy is shown at the root
    room = min(MAX_COMPONENT_BYTES, MAX_PATH_BYTES - len(directory + slash)) - added
    if too_deep or len(stem) > room:
        salt = hashlib.sha256(path + (salt or b"")).digest()[:16]
        stem = stem[:room]
    if salt is not None:
        inner += f", {salt.hex()}"
    return directory + slash + stem + b" (" + inner.encode() + b")" + dot + extension


def shown_name(path: bytes) -> str:
    """`path` for people: control, bidirectional and undecodable characters are escaped, backslashes doubled."""
    text = path.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() and c != "\\" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
