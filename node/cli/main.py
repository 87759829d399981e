"""`lattice`: the command line.

Other packages add commands of their own through the entry-point group `latticework.commands`: a module
with `TITLE`, `configure(parser)` and `run(options)`. It is looked for, and loaded, only when a command is asked for
that is not one of ours, or when help is, so that nobody else waits for it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Protocol, cast

from latticework.wire import LatticeError, LocalError, StoreError

from ..exits import EXIT_CREDENTIAL, EXIT_ERROR, EXIT_INTEGRITY, EXIT_INTERRUPTED, EXIT_LOCKED
from ..home import HomeLockedError
from .client import CommandError

_EPILOG = (
    "Exit codes: 0 ok, 1 error, 2 usage, 3 partial, 10 no node, 11 locked, 12 bad credential,"
    " 20 unreachable, 21 quota, 22 integrity, 23 conflict, 130 interrupted."
)
_FOREIGN = "latticework.commands"

_MODULES = {
    "init": "lifecycle",
    "up": "lifecycle",
    "down": "lifecycle",
    "pair": "pair",
    "demo": "demo",
    **dict.fromkeys(("log", "inspect", "verify", "rebuild", "prune", "forks"), "history"),
    **dict.fromkeys(("checkout", "restore"), "past"),
    **dict.fromkeys(("doc", "space"), "docs"),
}


class _Foreign(Protocol):
    """What an entry point of the group leads to."""

    TITLE: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(_asked(words)).parse_args(words)
    as_json: bool = options.json
    try:
        return int(_dispatch(options))
    except CommandError as error:
        return _fail(error.code, str(error), error.exit_code, as_json=as_json)
    except LatticeError as error:
        code, exit_code = _classified(error)
        return _fail(code, str(error), exit_code, as_json=as_json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_ERROR


def _asked(words: Sequence[str]) -> str:
    """The command, before anything is known about it; empty if there is none."""
    plain = (word for before, word in pairwise(("", *words)) if before != "--home" and not word.startswith("-"))
    return next(plain, "")


def _dispatch(options: argparse.Namespace) -> int:
    # A command imports what it needs.
    name = _MODULES.get(options.command, "talk")
    run: Callable[[argparse.Namespace], int] = (
        options.foreign if "foreign" in options else import_module(f"latticework.node.cli.{name}").run
    )
    return run(options)


def _classified(error: LatticeError) -> tuple[str, int]:
    from latticework.handshake import BadPassphraseError, PassphraseNeededError  # noqa: PLC0415  # rare path

    match error:
        case HomeLockedError():
            return "locked", EXIT_LOCKED
        case BadPassphraseError() | PassphraseNeededError():
            return "passphrase", EXIT_CREDENTIAL
        case StoreError():
            return "store", EXIT_INTEGRITY
        case LocalError():
            return "error", EXIT_ERROR
        case _:
            return "error", EXIT_ERROR


def _fail(code: str, message: str, exit_code: int, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message, "exit": exit_code}}))
    from .output import safe  # noqa: PLC0415  # rare path

    print(f"lattice: {safe(message)}", file=sys.stderr)
    return exit_code


def _parser(asked: str = "") -> argparse.ArgumentParser:
    """With the commands of other packages, unless `asked` is one of ours."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")
    common.add_argument("--home", default=argparse.SUPPRESS, metavar="DIR", help="the node's home (or LATTICE_HOME)")
    parser = argparse.ArgumentParser(
        prog="lattice", description="Your devices keep folders in step, end-to-end encrypted.", epilog=_EPILOG
    )
    parser.set_defaults(json=False, home=None)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--home", metavar="DIR", help="the node's home (or LATTICE_HOME)")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    demo = command("demo", "see two real nodes pair and keep a copy of a folder in step")
    demo.add_argument("path", nargs="?", help="a folder to copy from (default: a generated sample)")
    init = command("init", "create this device's identity")
    init.add_argument("--name", help="what other devices call this one (default: the host name)")
    init.add_argument("--passphrase", action="store_true", help="ask for a passphrase that seals the keys")
    init.add_argument("--passphrase-file", metavar="FILE", help="read the passphrase from FILE")
    up = command("up", "run the node until it is stopped")
    up.add_argument("--listen", action="append", default=[], metavar="ADDR", help="for example /ip4/0.0.0.0/tcp/47320")
    up.add_argument("--peer", action="append", default=[], metavar="ADDR", help="an address to keep connected")
    up.add_argument("--no-mdns", action="store_true", help="neither announce nor look for devices on the network")
    up.add_argument("--libp2p", action="store_true", help="answer plain libp2p peers (identify and ping) over Noise")
    up.add_argument("--passphrase-file", metavar="FILE", help="read the passphrase from FILE")
    up.add_argument("--verbose", "-v", action="count", default=0, help="log more; twice for everything")
    command("down", "stop the node of this home")
    pair = command("pair", "show a code, or enter the code that another device shows")
    pair.add_argument("code", nargs="?", help="the code, or the text of the QR code")
    pair.add_argument("--peer", action="append", default=[], metavar="ADDR", help="where the other device listens")
    pair.add_argument("--yes", action="store_true", help="do not ask; the code alone is trusted")
    _folder_parser(command("folder", "keep folders in step"), common)
    command("status", "devices, connections, folders, and what is pending")
    why = command("why", "why a path is, or is not, in step")
    why.add_argument("path")
    sync = command("sync", "wait until every connected device is in step")
    sync.add_argument("--once", action="store_true", help="return when done (the only mode)")
    sync.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    command("devices", "the devices of this account")
    command("conflicts", "files that were changed on two devices at once")
    command("doctor", "check this node and say what to do")
    _history_parsers(command)
    _document_parsers(command("doc", "documents that devices edit together"), common)
    _space_parsers(command("space", "spaces: what your devices share"), common)
    if asked not in commands.choices:
        _foreign_parsers(command)
    return parser


def _foreign_parsers(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    from importlib.metadata import entry_points  # noqa: PLC0415  # looks through every installed distribution

    for point in sorted(entry_points(group=_FOREIGN)):
        module = cast("_Foreign", point.load())
        parser = command(point.name, module.TITLE)
        module.configure(parser)
        parser.set_defaults(foreign=module.run)


def _document_parsers(doc: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = doc.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str, *, document: bool = True) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=text, description=text, parents=[common])
        parser.add_argument("--space", metavar="NAME", help="which space (default: the only one, or home)")
        if document:
            parser.add_argument("document", help="its name")
        return parser

    new = action("new", "make a document")
    new.add_argument("value", nargs="?", help='a JSON object, or - to read it (default: {"text": ""})')
    get = action("get", "print a document, or what stands at a path in it")
    get.add_argument("path", nargs="?", help="for example /items/0/title")
    put = action("set", "write a value at a path")
    put.add_argument("path", help="for example /items/0/title; /items/- is the end of a list")
    put.add_argument("value", help="JSON, or plain words, or - to read it")
    delete = action("delete", "remove what stands at a path, or everything")
    delete.add_argument("path", nargs="?")
    action("undo", "take this device's newest change of a document back")
    action("redo", "take the last undo back")
    edit = action("edit", "edit a text of a document in your editor ($VISUAL, $EDITOR)")
    edit.add_argument("path", nargs="?", default="/text", help="where the text is (default: /text)")
    action("watch", "print the document whenever it changes")
    action("list", "every document", document=False)


def _space_parsers(space: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = space.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (("create", "make a space"), ("join", "hold a space that another device of yours has")):
        actions.add_parser(name, help=text, description=text, parents=[common]).add_argument("name")
    actions.add_parser("list", help="spaces here and on offer", parents=[common])


def _history_parsers(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    log = command("log", "the newest entries of a space")
    log.add_argument("--limit", type=int, default=50, metavar="COUNT", help="how many (default: 50)")
    inspect = command("inspect", "everything about one entry")
    inspect.add_argument("entry", help="the beginning of its id")
    forks = command("forks", "logs that are convicted of equivocation, with their evidence")
    forks.add_argument("--export", metavar="DIR", help="write each proof into a file, for others to check")
    verify = command("verify", "read and check everything that is stored of a space")
    rebuild = command("rebuild", "compute the state of a space anew from its log")
    prune = command("prune", "erase old payloads that every device has")
    checkout = command("checkout", "what a space held at an earlier moment: its files, or a document")
    checkout.add_argument("--at", required=True, metavar="WHEN", help="an entry's id, or a time: 2h, 2026-11-20T09:30")
    checkout.add_argument("--doc", metavar="NAME", help="print this document")
    checkout.add_argument("path", nargs="?", help="where in the document, for example /items/0")
    restore = command("restore", "bring files of a folder back as they were; what came later stays")
    restore.add_argument("--at", required=True, metavar="TIME", help="for example 30m, 2h, 3d, 2026-11-20T09:30")
    restore.add_argument("path", nargs="?", help="a file or directory (default: the only folder)")
    for parser in (log, verify, rebuild, prune, checkout, restore):
        parser.add_argument("--space", metavar="NAME", help="which space (default: the only one)")


def _folder_parser(folder: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = folder.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="share a folder with your devices", parents=[common])
    add.add_argument("path")
    add.add_argument("--name", help="its name on all devices (default: the directory's name)")
    join = actions.add_parser("join", help="keep a folder that another device shares", parents=[common])
    join.add_argument("name")
    join.add_argument("path")
    actions.add_parser("list", help="folders here and on offer", parents=[common])


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415  # only for --version

    return f"lattice {version('latticework')}"


if __name__ == "__main__":
    sys.exit(main())
