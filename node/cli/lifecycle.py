"""`lattice init`, `lattice up`, `lattice down`."""

import argparse
import getpass
import logging
import os
import platform
import sys
from pathlib import Path

from latticework.handshake import MlKem1024, PassphraseNeededError, SealedFileVault, load_keys
from latticework.wire import LocalError
from latticework.wire.signing import CompositeSignatures

from ..app import Node
from ..daemon import DaemonOptions, run_daemon
from ..exits import EXIT_OK
from ..frames import Data
from ..home import Home, wait_until_free
from ..identity import NoIdentityError, create_identity
from ..system import SystemClock, SystemRng
from .client import Client
from .output import say, show_json

_MAX_NAME_BYTES = 64


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names."""
    home = Home.find(options.home)
    match options.command:
        case "init":
            return _init(options, home)
        case "up":
            return _up(options, home)
        case _:
            return _down(options, home)


def _init(options: argparse.Namespace, home: Home) -> int:
    name = _device_name(options.name)
    passphrase = _passphrase_for_init(options)
    home.create()
    vault = SealedFileVault(home.keys, SystemRng(), passphrase)
    if home.exists:
        raise LocalError(f"{home.root} already has an identity; use another LATTICE_HOME for a second device")
    secrets = create_identity(vault, name, SystemRng(), SystemClock())
    device = load_keys(secrets.device_seeds, MlKem1024(), CompositeSignatures()).device.hex()
    if options.json:
        show_json({"device": device, "name": name, "home": str(home.root)})
    else:
        print(f"device  {device}\nname    {name}\nhome    {home.root}")
        say("Next: lattice up")
    return EXIT_OK


def _up(options: argparse.Namespace, home: Home) -> int:
    _log_to_stderr(options.verbose)
    if not home.exists:
        raise NoIdentityError(f"{home.root} has no identity yet; run lattice init")
    daemon = DaemonOptions(
        listen=tuple(options.listen),
        peers=tuple(options.peer),
        mdns=not options.no_mdns,
        plain_libp2p=options.libp2p,
        passphrase=_passphrase(options.passphrase_file, home),
    )

    def ready(node: Node) -> None:
        addresses: list[Data] = [str(address) for address in node.peers.listening]
        if options.json:
            show_json({"ready": True, "device": node.device.hex(), "name": node.name, "listening": addresses})
            sys.stdout.flush()
        else:
            say(f"{node.name} is up; listening on {', '.join(map(str, addresses))}")
            if len(node.roster.members) == 1:
                say("Next, in another terminal: lattice pair, and lattice folder add PATH")

    run_daemon(home, daemon, ready)
    return EXIT_OK


def _down(options: argparse.Namespace, home: Home) -> int:
    with Client(home) as client:
        client.ask("stop")
    wait_until_free(home)
    if options.json:
        show_json({"stopped": True})
    else:
        say("stopped")
    return EXIT_OK


def _device_name(given: str | None) -> str:
    name = given if given is not None else platform.node().partition(".")[0] or "device"
    if not name.isprintable() or not name.strip() or len(name.encode()) > _MAX_NAME_BYTES:
        raise LocalError("a device's name is printable text of 1 to 64 bytes; choose one with --name")
    return name


def _passphrase_for_init(options: argparse.Namespace) -> str | None:
    if options.passphrase_file:
        return _read_passphrase(Path(options.passphrase_file))
    if not options.passphrase:
        return os.environ.get("LATTICE_PASSPHRASE") or None
    first = getpass.getpass("Passphrase: ")
    if not first or first != getpass.getpass("Again: "):
        raise LocalError("the passphrases are empty or differ")
    return first


def _passphrase(file: str | None, home: Home) -> str | None:
    if file:
        return _read_passphrase(Path(file))
    if given := os.environ.get("LATTICE_PASSPHRASE"):
        return given
    try:
        SealedFileVault(home.keys, SystemRng(), None).load()
    except PassphraseNeededError:
        if not sys.stdin.isatty():
            raise
        return getpass.getpass("Passphrase: ")
    return None


def _read_passphrase(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"cannot read the passphrase from {path}: {error}") from error
    if not text:
        raise LocalError(f"{path} holds no passphrase")
    return text


def _log_to_stderr(verbosity: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
