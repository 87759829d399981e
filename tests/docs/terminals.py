"""Terminals: the commands of the pages, run on pseudo-terminals and checked against the output that the page shows.

A page shows a command behind `$ ` and some lines of its output below. Every shown line must appear, in order; lines the
page leaves out may come between. `...` stands for anything inside a line, and runs of spaces are equal. Pairing codes
and addresses on a page are examples: the first time one is shown as output it stands for what really came, and later
commands get that.

Each device of a page has a home of its own. `lattice up` runs until the page stops it; it listens on loopback and
speaks no mDNS, so that tests reach no real network, and `lattice pair CODE` is told where the other nodes listen. A
prompt is answered with what the page shows behind it. A command that only looks (`status`, `ls` ...) is repeated until
it shows what the page says, as a person would.
"""

import errno
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

DEADLINE_S = 30.0
_UP = re.compile(r"lattice( --json)? up\b")
_LOOKS = re.compile(
    r"(lattice( --json)? (status|devices|folder list|why|conflicts|doctor|doc (get|list)|space list)|ls|cat)\b"
)
_EXAMPLE = re.compile(r"\d{4}-\d{4}-\d{4}|/ip4/[\d.]+/tcp/\d+")
_PROMPT = re.compile(r"^(?P<prompt>.*\[y/N\]) (?P<answer>\w+)$")
_WIPED = re.compile(r"\r\x1b\[K")
"""A line is wiped and written anew."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r(?=\n)")


class PageError(AssertionError):
    """A page shows something that is not so."""


class Terminal:
    """One command on one pseudo-terminal."""

    def __init__(self, command: str, environment: dict[str, str], directory: Path) -> None:
        self.command = command
        self.output = ""
        self._at = 0
        self._ended = False
        self._own, theirs = os.openpty()
        try:
            self._process = subprocess.Popen(
                ["sh", "-c", command],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    def expect(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait until the output beyond what was matched before holds `pattern`."""
        deadline = time.monotonic() + DEADLINE_S
        while (match := pattern.search(self.output, self._at)) is None:
            if self._ended or not self._read(deadline):
                raise PageError(f"$ {self.command}\nnever showed {pattern.pattern!r} but\n{self.output}")
        self._at = match.end()
        return match

    def answer(self, text: str) -> None:
        os.write(self._own, text.encode() + b"\n")

    def finish(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while not self._ended:
            if not self._read(deadline):
                raise PageError(f"$ {self.command}\ndid not end but said\n{self.output}")
        return self._process.wait(DEADLINE_S)

    def ask_to_stop(self) -> None:
        """Like Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """End it whatever it does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._own)

    def _read(self, deadline: float) -> bool:
        """Take in some output; False when the time is up."""
        if not select.select([self._own], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._own, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # what Linux says when the last writer is gone
                raise
            data = b""
        self._ended = not data
        self.output += _ESCAPE.sub("", _WIPED.sub("\n", data.decode(errors="replace")))
        return True


class Device:
    """One machine of a page: a home, a node that may be up, and the terminal in use."""

    def __init__(self, name: str, home: Path) -> None:
        self.home = home
        home.mkdir()
        tools = Path(sys.executable).parent
        kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TMPDIR") if key in os.environ}
        self.environment = kept | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(home),
            "LATTICE_HOME": str(home / "lattice"),
            "XDG_RUNTIME_DIR": str(home),
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        self.name = name
        self.address = ""
        self.node: Terminal | None = None
        self.terminal: Terminal | None = None


class World:
    """The devices of one page, and what its examples stand for."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._devices: dict[str, Device] = {}
        self._terminals: list[Terminal] = []
        self._examples: dict[str, str] = {}

    def device(self, name: str) -> Device:
        if name not in self._devices:
            self._devices[name] = Device(name, self._scratch / name)
        return self._devices[name]

    def run(self, name: str, block: str, exit_code: int = 0) -> None:
        """Run a block on a device; output before the first command goes on with the last one."""
        device = self.device(name)
        for command, shown in commands_of(block):
            if command is None:
                if device.terminal is None:
                    raise PageError(f"nothing runs on {name} that could show {shown[0]!r}")
                self._check(device.terminal, shown)
                continue
            self._settle(device)
            self._run_one(device, command, shown, exit_code)

    def end(self) -> None:
        """Finish every command and stop every node; each must end well."""
        for device in self._devices.values():
            self._settle(device)
        for device in self._devices.values():
            if device.node is not None:
                device.node.ask_to_stop()
                self._end_node(device)

    def close(self) -> None:
        for terminal in self._terminals:
            terminal.close()

    def _run_one(self, device: Device, command: str, shown: list[str], exit_code: int) -> None:
        actual = self._for_tests(device, self._with_examples(command))
        if _UP.match(command) and exit_code == 0:
            device.node = self._start(device, actual)
            self._check(device.node, shown)
            device.address = _EXAMPLE.search(device.node.output)[0]  # type: ignore[index]  # the line was checked
        elif command.startswith("lattice pair") and exit_code == 0:
            device.terminal = self._start(device, actual)
            self._check(device.terminal, shown)
        elif _LOOKS.match(command):
            self._look(device, actual, shown, exit_code)
        else:
            self._require(self._start(device, actual), shown, exit_code)
            if command == "lattice down":
                self._end_node(device)

    def _look(self, device: Device, command: str, shown: list[str], exit_code: int) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            examples = dict(self._examples)
            try:
                self._require(self._start(device, command), shown, exit_code)
            except PageError:
                if time.monotonic() > deadline:
                    raise
                self._examples = examples
            else:
                return

    def _require(self, terminal: Terminal, shown: list[str], exit_code: int) -> None:
        self._check(terminal, shown)
        if (code := terminal.finish()) != exit_code:
            raise PageError(f"$ {terminal.command}\nended with {code}, not {exit_code}:\n{terminal.output}")

    def _end_node(self, device: Device) -> None:
        if device.node is not None:
            self._require(device.node, [], 0)
            device.node = None

    def _settle(self, device: Device) -> None:
        """A terminal is free when its last command is over."""
        if device.terminal is not None:
            self._require(device.terminal, [], 0)
            device.terminal = None

    def _start(self, device: Device, command: str) -> Terminal:
        terminal = Terminal(command, device.environment, device.home)
        self._terminals.append(terminal)
        return terminal

    def _check(self, terminal: Terminal, shown: list[str]) -> None:
        for line in shown:
            if line.strip() == "...":
                continue
            prompt = _PROMPT.match(line)
            pattern, names = self._pattern(prompt["prompt"] if prompt else line)
            match = terminal.expect(re.compile(rf"^ *{pattern}{'' if prompt else ' *$'}", re.MULTILINE))
            for group, example in names.items():
                self._examples[example] = match[group]
            if prompt:
                terminal.answer(prompt["answer"])

    def _pattern(self, line: str) -> tuple[str, dict[str, str]]:
        """A regular expression for a shown line, and the examples in it that are new."""
        names: dict[str, str] = {}
        pattern = ""
        at = 0
        for match in _EXAMPLE.finditer(line):
            pattern += _escaped(line[at : match.start()])
            at = match.end()
            known = self._examples.get(match[0])
            if known is not None:
                pattern += re.escape(known)
            else:
                group = f"example{len(names)}"
                names[group] = match[0]
                pattern += f"(?P<{group}>{_EXAMPLE.pattern})"
        return pattern + _escaped(line[at:].rstrip()), names

    def _with_examples(self, command: str) -> str:
        return _EXAMPLE.sub(lambda match: self._examples.get(match[0], match[0]), command)

    def _for_tests(self, device: Device, command: str) -> str:
        """Loopback instead of the network, known addresses instead of mDNS."""
        words = shlex.split(command) if command.startswith("lattice ") else []
        if _UP.match(command):
            # A node that comes back has its port again, as it would have 47320.
            return f"exec {command} --no-mdns --listen {device.address or '/ip4/127.0.0.1/tcp/0'}"
        if words[1:2] == ["pair"] and len(words) > 2 and "--peer" not in words:
            others = [other.address for other in self._devices.values() if other is not device and other.address]
            return command + "".join(f" --peer {address}" for address in others)
        return command


def commands_of(block: str) -> list[tuple[str | None, list[str]]]:
    """Commands with the output shown below each; None stands for output before the first command."""
    found: list[tuple[str | None, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            found.append((None, [line]))
    return [(command, [line for line in shown if line.strip()]) for command, shown in found]


def _escaped(text: str) -> str:
    literal = (re.sub(r"(\\ )+", " +", re.escape(part)) for part in text.split("..."))
    return ".*".join(literal)
