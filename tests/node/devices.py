# ruff: noqa: T201  # the test is the only task; seeds and figures are printed
"""Real nodes in real processes: started, paired, killed, suspended and watched through their control sockets."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

import apsw
import trio

from latticework.node.frames import PREFIX_BYTES, Data, decode_frame, encode_frame, frame_length
from latticework.node.home import Home
from latticework.simnet import KeyedRng

type Item = dict[str, Data]

POLL_S = 0.05
PATIENCE_S = 60.0
LATTICE = [sys.executable, "-m", "latticework.node.cli.main"]


class CommandFailedError(Exception):
    """The node answered with an error."""

    def __init__(self, error: Item) -> None:
        super().__init__(str(error["message"]))
        self.code = str(error["code"])
        self.exit_code = int(cast("int", error["exit"]))


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("LATTICE_")}


async def until[T](question: Callable[[], Awaitable[T | None]], what: str, patience_s: float = PATIENCE_S) -> T:
    """The one place where tests wait for a real process: ask again every 50 ms until there is an answer."""
    last: object = None
    with trio.move_on_after(patience_s):
        while True:
            try:
                answer = await question()
            except (OSError, trio.BrokenResourceError, EOFError) as error:
                last, answer = error, None
            if answer is not None and answer is not False:
                return answer
            await trio.sleep(POLL_S)
    raise AssertionError(f"waited {patience_s:g} s for {what}; last: {last!r}")


@dataclass
class Device:
    """One node of one home, and the directory that it keeps in step."""

    name: str
    base: Path
    port: int
    options: list[str] = field(default_factory=list[str])
    wrapper: list[str] = field(default_factory=list[str])
    process: subprocess.Popen[bytes] | None = None

    @cached_property
    def home(self) -> Home:
        return Home(self.base / "home")

    @cached_property
    def folder(self) -> Path:
        return self.base / "folder"

    @property
    def address(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    @property
    def log(self) -> str:
        return (self.base / "log").read_text(errors="replace") if (self.base / "log").exists() else ""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command of `lattice` in this home."""
        command = [*LATTICE, "--home", str(self.home.root), *arguments]
        return subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, input=text, check=False, timeout=60
        )

    async def lattice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same, off the event loop."""
        return await trio.to_thread.run_sync(lambda: self.run(*arguments))  # noqa: TID251  # a test's own thread

    def init(self) -> None:
        made = self.run("init", "--name", self.name)
        assert made.returncode == 0, made.stderr

    def launch(self) -> None:
        assert not self.alive
        command = [*LATTICE, "--home", str(self.home.root), "up", "-v", "--listen", self.address, "--no-mdns"]
        self.base.mkdir(exist_ok=True)
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *command, *self.options],
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        await self.answering()

    async def answering(self) -> None:
        async def answers() -> Item | None:
            assert self.alive, f"{self.name} died:\n{self.log[-6000:]}"
            return await self.status()

        await until(answers, f"{self.name} to answer")

    async def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        process = self.process
        assert process is not None

        async def code() -> tuple[int] | None:
            return None if process.poll() is None else (process.returncode,)

        (result,) = await until(code, f"{self.name} to end", 30)
        self.process = None
        return result

    def kill(self) -> None:
        """SIGKILL, now."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def suspend(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def must_live(self) -> None:
        assert self.alive, f"{self.name} died:\n{self.log[-6000:]}"

    async def ask(self, do: str, **arguments: Data) -> Data:
        """One request on a control connection of its own; questions are answered with yes."""
        with trio.fail_after(PATIENCE_S):
            stream = await trio.open_unix_socket(str(self.home.socket))
            async with stream:
                await send(stream, {"do": do, **arguments})
                while True:
                    frame = await receive(stream)
                    if "ok" in frame:
                        return frame["ok"]
                    if "error" in frame:
                        raise CommandFailedError(cast("Item", frame["error"]))
                    if frame.get("event") == "confirm":
                        await send(stream, {"answer": True})

    async def status(self) -> Item:
        return cast("Item", await self.ask("status"))

    async def folder_status(self) -> Item:
        return items((await self.status())["folders"])[0]

    async def why(self, path: Path) -> Item:
        return cast("Item", await self.ask("why", path=str(path)))

    @property
    def peak_rss(self) -> int:
        """VmHWM in bytes."""
        assert self.process is not None
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    @property
    def database(self) -> Path:
        (found,) = self.home.root.glob("spaces/*/space.db")
        return found


def items(data: Data) -> list[Item]:
    return cast("list[Item]", data)


async def send(stream: trio.abc.Stream, data: Mapping[str, Data]) -> None:
    await stream.send_all(encode_frame(data))


async def receive(stream: trio.abc.Stream) -> Item:
    return decode_frame(await exactly(stream, frame_length(await exactly(stream, PREFIX_BYTES))))


async def exactly(stream: trio.abc.Stream, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = await cast("trio.SocketStream", stream).receive_some(count - len(data))
        if not piece:
            raise EOFError("the node has gone away")
        data += piece
    return bytes(data)


@dataclass
class Pair:
    """Two paired devices; `one` shares its folder, `two` joins it."""

    one: Device
    two: Device

    @property
    def both(self) -> tuple[Device, Device]:
        return self.one, self.two

    async def start(self) -> None:
        for device in self.both:
            device.launch()
        for device in self.both:
            await device.answering()

    async def share(self) -> None:
        """Keep both folders, whatever is in them, as one space."""
        await self.one.ask("folder add", path=str(self.one.folder), name="shared")

        async def offered() -> bool | None:
            return bool((await self.two.status())["offered"]) or None

        await until(offered, "the offer")
        await self.two.ask("folder join", name="shared", path=str(self.two.folder))

    async def in_step(self, patience_s: float = PATIENCE_S, *, rescan: bool = True) -> None:
        """Wait until both say that everything is the same everywhere."""
        await self.connected(patience_s)
        if rescan:
            for device in self.both:
                await device.ask("rescan")

        statuses: list[Item] = []

        async def agreed() -> bool | None:
            statuses.clear()
            for device in self.both:
                device.must_live()
                statuses.append(await device.status())
            return all(_settled(status) for status in statuses) or None

        try:
            await until(agreed, "both to be in step", patience_s)
        except AssertionError as error:
            shown = "\n".join(str({k: s[k] for k in ("name", "folders", "in_step")}) for s in statuses)
            raise AssertionError(f"{error}\n{shown}\n{self.one.log[-1500:]}\n{self.two.log[-1500:]}") from error

    async def connected(self, patience_s: float = PATIENCE_S) -> None:
        async def linked() -> bool | None:
            for device in self.both:
                device.must_live()
            states = [await device.status() for device in self.both]
            return all(any(d["connected"] for d in items(s["devices"])) for s in states) or None

        try:
            await until(linked, "both to be connected", patience_s)
        except AssertionError as error:
            checks = [await device.ask("doctor") for device in self.both]
            raise AssertionError(f"{error}\n{checks}\n{self.one.log[-2500:]}\n{self.two.log[-2500:]}") from error


def _settled(status: Item) -> bool:
    folder = items(status["folders"])[0]
    peers = items(folder["peers"])
    return bool(status["in_step"]) and any(peer["in_step"] for peer in peers)


def copy_homes(template: Pair, base: Path, ports: tuple[int, int]) -> Pair:
    """Fresh devices that are paired already: homes without a folder may be copied."""
    made: list[Device] = []
    for device, port in zip(template.both, ports, strict=True):
        mine = base / device.name
        mine.mkdir()
        shutil.copytree(device.home.root, mine / "home", ignore=shutil.ignore_patterns("control.sock", "lock"))
        made.append(Device(device.name, mine, port))
    one, two = made
    one.options, two.options = ["--peer", two.address], ["--peer", one.address]
    return Pair(one, two)


def tree(root: Path, *, times: bool = True) -> dict[bytes, tuple[object, ...]]:
    """Everything that is kept in step, by relative path: kind, content, mode bit, and modification time of files."""
    found: dict[bytes, tuple[object, ...]] = {}
    base = os.fsencode(root)
    for directory, directories, files in os.walk(base):
        if directory == base and b".lattice" in directories:
            directories.remove(b".lattice")
        for name in [*directories, *files]:
            path = directory + b"/" + name
            status = os.lstat(path)
            relative = path[len(base) + 1 :]
            if stat.S_ISLNK(status.st_mode):
                found[relative] = ("link", os.readlink(path))  # noqa: PTH115
            elif stat.S_ISDIR(status.st_mode):
                found[relative] = ("directory",)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:  # noqa: PTH123  # bytes paths
                    content = file.read()
                executable = bool(status.st_mode & 0o100)
                found[relative] = ("file", content, executable, status.st_mtime_ns if times else 0)
    return found


def contents(*roots: Path) -> set[bytes]:
    """The content of every file below `roots`."""
    return {cast("bytes", item[1]) for root in roots for item in tree(root).values() if item[0] == "file"}


def assert_same(pair: Pair) -> None:
    left, right = tree(pair.one.folder), tree(pair.two.folder)
    differing = sorted(path for path in left.keys() | right.keys() if left.get(path) != right.get(path))
    shown = [(path, _brief(left.get(path)), _brief(right.get(path))) for path in differing[:8]]
    assert not differing, f"{len(differing)} paths differ: {shown}"


def _brief(item: tuple[object, ...] | None) -> object:
    return None if item is None else tuple(part[:40] if isinstance(part, bytes) else part for part in item)


def assert_no_number_twice(*databases: Path) -> int:
    """No (log, number) stands for two entries in any of the databases; how many entries were looked at."""
    seen: dict[tuple[bytes, int], bytes] = {}
    for database in databases:
        for log, seq, identifier in entries_of(database):
            other = seen.setdefault((log, seq), identifier)
            assert other == identifier, f"log {log.hex()[:8]} has two entries {seq}"
    return len(seen)


def entries_of(database: Path) -> list[tuple[bytes, int, bytes]]:
    """Log, number and id of every entry."""
    query = "SELECT log.key, entry.seq, entry.id FROM entry JOIN log ON log.n=entry.log"
    with looked_at(database) as connection:
        rows = cast("list[tuple[bytes, int, bytes]]", connection.execute(query).fetchall())
        assert connection.execute("SELECT count(*) FROM proof").get == 0, f"{database} holds a proof of a fork"
    return rows


@contextmanager
def looked_at(database: Path) -> Generator[apsw.Connection]:
    """A copy of the database: opening the original could fold its journal."""
    copy = database.with_name("looked-at.db")
    try:
        for suffix in ("", "-wal"):
            if database.with_name(database.name + suffix).exists():
                shutil.copy(database.with_name(database.name + suffix), copy.with_name(copy.name + suffix))
        connection = apsw.Connection(str(copy))
        yield connection
        connection.close()
    finally:
        for suffix in ("", "-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


class Dice:
    """Random choices that replay: `LATTICE_TEST_SEED=... pytest ...`; the seed is printed."""

    def __init__(self, name: str) -> None:
        self.seed = os.environ.get("LATTICE_TEST_SEED") or os.urandom(4).hex()
        print(f"LATTICE_TEST_SEED={self.seed}")
        self._rng = KeyedRng(self.seed.encode(), name)

    def below(self, limit: int) -> int:
        return int.from_bytes(self._rng.random_bytes(8), "big") % limit

    def pick[T](self, options: list[T]) -> T:
        return options[self.below(len(options))]

    def seconds(self, longest: float) -> float:
        return longest * self.below(10_000) / 10_000

    def bytes(self, count: int) -> bytes:
        return self._rng.random_bytes(count)
