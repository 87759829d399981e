# ruff: noqa: TID251 - real processes on real time
"""Two nodes, one folder: bulk, many small files, a shifted file, latency, idle, start-up; beside Syncthing and rsync.

    uv run --no-sync python bench/sync.py [--quick] [--scratch DIR | --tmpfs] [--runs N] [--only NAME ...] [--ours-only]

Runs as root in namespaces of its own with only `lo`; A and B are two processes there. Each line: name, value, unit, and
where a peer ran beside it: peer, its value, ratio ours/theirs. Values are medians of the runs, ours and the peers' in
turn. A figure ends when the file or tree stands complete on B; CPU counts on until both sides are quiet. Everything is
compared byte for byte afterwards. `_a` is the side that has the file first, `_b` the one that gets it. Syncthing
(Debian's package) is told to scan at once, its watcher would add its delay; rsync goes to a daemon, unencrypted.
"""

import argparse
import contextlib
import filecmp
import functools
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import netns
from node_pair import NodePair, wait_for
from peers_rsync import Rsync
from peers_syncthing import SyncthingPair

MIB = 1 << 20
PHASES = ("bulk", "prepend", "small", "latency", "idle", "startup")
OURS = NodePair.name


class Sizes:
    """How much is measured."""

    def __init__(self, *, quick: bool, runs: int | None) -> None:
        self.quick = quick
        self.bulk = (64 if quick else 1024) * MIB
        self.warm = 2 * self.bulk
        self.files = 500 if quick else 10_000
        self.latencies = 4 if quick else 20
        self.idle_s = 4.0 if quick else 60.0
        self.starts = 1 if quick else 5
        self.runs = runs or (1 if quick else 3)
        self.limit_s = 40.0 if quick else 600.0


class Figures:
    """Every value by figure and peer, and the printing."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[str, list[float]]] = {}
        self.failed = False

    def add(self, name: str, unit: str, who: str, value: float) -> None:
        self._values.setdefault((name, unit), {}).setdefault(who, []).append(value)

    def print(self) -> None:
        for (name, unit), by_peer in self._values.items():
            medians = {who: statistics.median(values) for who, values in by_peer.items()}
            ours = medians.pop(OURS, None)
            if ours is None:
                for who, theirs in medians.items():
                    print(f"{name}\t-\t{unit}\t{who}\t{theirs:.4g}\t-")
            elif not medians:
                print(f"{name}\t{ours:.4g}\t{unit}")
            else:
                for who, theirs in medians.items():
                    ratio = f"{ours / theirs:.2f}" if theirs else "-"
                    print(f"{name}\t{ours:.4g}\t{unit}\t{who}\t{theirs:.4g}\t{ratio}")
        sys.stdout.flush()
        self._values.clear()

    def fail(self, who: str, what: str, error: BaseException) -> None:
        self.failed = True
        note(f"FAILED {who} {what}: {type(error).__name__}: {error}")


def note(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)


# data


class Data:
    """What is synced, made once: one random file, the same with a byte before it, and a tree of small files."""

    def __init__(self, directory: Path, sizes: Sizes) -> None:
        self.bulk, self.prepended, self.small = directory / "bulk", directory / "prepended", directory / "small"
        self.directory = directory
        directory.mkdir()
        with self.bulk.open("wb") as plain, self.prepended.open("wb") as shifted:
            shifted.write(b"x")
            for _ in range(sizes.bulk // (4 * MIB)):
                block = os.urandom(4 * MIB)
                plain.write(block)
                shifted.write(block)
        lengths = random.Random(7)
        for number in range(sizes.files):
            path = self.small / f"{number % 100:02d}" / f"{number:05d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(lengths.randint(4 << 10, 32 << 10)))

    def stage(self, name: str) -> Path:
        """A fresh copy of `bulk`, `prepended` or `small`, to be moved into a folder in one step."""
        source, target = getattr(self, name), self.directory / "staged"
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        return target


def has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def count_files(directory: Path) -> int:
    """Regular names two levels down; a peer's temporary files begin with a dot or a tilde."""
    count = 0
    with contextlib.suppress(OSError), os.scandir(directory) as parents:
        for parent in parents:
            with contextlib.suppress(OSError):
                count += sum(name[0] not in ".~" for name in os.listdir(parent.path))
    return count


def same_tree(one: Path, other: Path) -> bool:
    if one.is_file():
        return filecmp.cmp(one, other, shallow=False)
    names = sorted(path.relative_to(one) for path in one.rglob("*"))
    if names != sorted(path.relative_to(other) for path in other.rglob("*")):
        return False
    return all((one / name).is_dir() or filecmp.cmp(one / name, other / name, shallow=False) for name in names)


# measuring


class Meter:
    """CPU of several processes and bytes on the wire since its making; then until all is quiet."""

    def __init__(self, *pids: int, memory: int = 0) -> None:
        os.sync()
        time.sleep(0.3)
        if memory:
            netns.warm_memory(memory)
        self._pids = pids
        for pid in pids:
            netns.forget_peak(pid)
        self._cpu = self._now()
        self._wire = netns.wire_bytes()
        self._began = time.perf_counter()

    def wall_s(self) -> float:
        return time.perf_counter() - self._began

    def settle(self) -> tuple[list[float], float]:
        """CPU seconds of each process and wire MB, once nobody has worked for a while."""
        for _ in range(40):
            before = self._now()
            time.sleep(0.5)
            if sum(self._now()) - sum(before) <= 0.03:
                break
        return [now - then for now, then in zip(self._now(), self._cpu, strict=True)], (
            netns.wire_bytes() - self._wire
        ) / 1e6

    def _now(self) -> list[float]:
        return [netns.cpu_s(pid) for pid in self._pids]


class Profiler:
    """Runs py-spy on both nodes of ours during each phase, when asked to."""

    def __init__(self, program: str | None, directory: Path, options: list[str]) -> None:
        self._program, self._directory, self._options = program, directory, options

    @contextlib.contextmanager
    def during(self, phase: str, pair):
        if self._program is None or pair.name != OURS:
            yield
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        running = []
        for side, pid in (("a", pair.a.pid), ("b", pair.b.pid)):
            output = self._directory / f"{phase}-{side}.raw"
            command = [
                self._program,
                "record",
                *self._options,
                "-p",
                str(pid),
                "-f",
                "raw",
                "-d",
                "100000",
                "-o",
                str(output),
            ]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(1.5)
        try:
            yield
        finally:
            for one in running:
                one.send_signal(2)
            for one in running:
                one.wait(60)


class Bench:
    def __init__(self, sizes: Sizes, data: Data, figures: Figures, profiler: Profiler) -> None:
        self.sizes, self.data, self.figures, self.profiler = sizes, data, figures, profiler

    def transfer(self, pair, phase: str, staged: str, name: str, done: Callable[[Path], bool]) -> None:
        """Move something into A's folder and wait until it stands in B's."""
        source, target = pair.a.folder / name, pair.b.folder / name
        ready = self.data.stage(staged)
        with self.profiler.during(phase, pair):
            meter = Meter(pair.a.pid, pair.b.pid, memory=self.sizes.warm)
            ready.rename(source)
            pair.placed()
            wait_for(lambda: pair.alive() and done(target), self.sizes.limit_s, f"{phase} to be complete on B", 0.02)
            wall_s = meter.wall_s()
            (cpu_a, cpu_b), wire = meter.settle()
        peak_a, peak_b = netns.peak_mib(pair.a.pid), netns.peak_mib(pair.b.pid)
        self.transferred(pair.name, phase, wall_s, cpu_a, cpu_b, wire)
        self.figures.add(f"{phase}_peak_a", "MiB", pair.name, peak_a)
        self.figures.add(f"{phase}_peak_b", "MiB", pair.name, peak_b)
        if not same_tree(getattr(self.data, staged), target):
            raise RuntimeError(f"{phase}: B differs from A")

    def transferred(self, who: str, phase: str, wall_s: float, cpu_a: float, cpu_b: float, wire: float) -> None:
        add = self.figures.add
        add(f"{phase}_wall", "s", who, wall_s)
        if phase == "small":
            add("small_rate", "files/s", who, self.sizes.files / wall_s)
        add(f"{phase}_cpu", "s", who, cpu_a + cpu_b)
        add(f"{phase}_cpu_a", "s", who, cpu_a)
        add(f"{phase}_cpu_b", "s", who, cpu_b)
        add(f"{phase}_wire", "MB", who, wire)

    def bulk(self, pair) -> None:
        self.transfer(pair, "bulk", "bulk", "bulk.bin", lambda path: has_size(path, self.sizes.bulk))

    def prepend(self, pair) -> None:
        self.transfer(pair, "prepend", "prepended", "bulk.bin", lambda path: has_size(path, self.sizes.bulk + 1))

    def small(self, pair) -> None:
        self.transfer(pair, "small", "small", "small", lambda path: count_files(path) == self.sizes.files)

    def latency(self, pair, label: str = "", count: int | None = None) -> None:
        """From before the write on A until B shows the whole file, seen by a poll every half millisecond."""
        pause = random.Random(11)
        for kind in ("write", "rename"):
            taken: list[float] = []
            for number in range(count or self.sizes.latencies):
                name, content = f"latency{label}-{kind}-{number}", os.urandom(100)
                time.sleep(0.2 + pause.random() / 2)
                began = time.perf_counter()
                if kind == "write":
                    (pair.a.folder / name).write_bytes(content)
                else:
                    (self.data.directory / "staged").write_bytes(content)
                    (self.data.directory / "staged").rename(pair.a.folder / name)
                wait_for(lambda path=pair.b.folder / name: has_size(path, 100), 60, "a small file on B", 0.0005)
                taken.append((time.perf_counter() - began) * 1e3)
                if (pair.b.folder / name).read_bytes() != content:
                    raise RuntimeError("B shows another file")
            who = pair.name + label
            self.figures.add(f"latency_{kind}_median", "ms", who, statistics.median(taken))
            self.figures.add(f"latency_{kind}_max", "ms", who, max(taken))

    def idle(self, pair) -> None:
        Meter(pair.a.pid, pair.b.pid).settle()
        began = time.perf_counter()
        before = (netns.cpu_s(pair.a.pid) + netns.cpu_s(pair.b.pid)) / 2
        wire = netns.wire_bytes()
        with self.profiler.during("idle", pair):
            time.sleep(max(0.0, began + self.sizes.idle_s - time.perf_counter()))
        used = (netns.cpu_s(pair.a.pid) + netns.cpu_s(pair.b.pid)) / 2 - before
        scale = 60 / self.sizes.idle_s
        self.figures.add("idle_cpu_per_node", "s/60s", pair.name, used * scale)
        self.figures.add("idle_wire", "kB/60s", pair.name, (netns.wire_bytes() - wire) / 1e3 * scale)
        for side in ("a", "b"):
            self.figures.add(f"idle_rss_{side}", "MiB", pair.name, netns.resident_mib(getattr(pair, side).pid))

    def startup(self, pair) -> None:
        """B again and again, with everything it holds by now; the first starts were those of an empty home."""
        for value in pair.startup_s:
            self.figures.add("startup_empty", "s", pair.name, value)
        for _ in range(self.sizes.starts):
            pair.b.stop()
            began = time.perf_counter()
            self.figures.add("startup_full", "s", pair.name, pair.b.start())
            pair.wait_connected()
            self.figures.add("startup_full_in_step", "s", pair.name, time.perf_counter() - began)

    def rsync(self, scratch: Path, phases: list[str]) -> None:
        rsync = Rsync(scratch)
        try:
            for phase, staged, name in (
                ("bulk", "bulk", "bulk.bin"),
                ("prepend", "prepended", "bulk.bin"),
                ("small", "small", "small/"),
            ):
                if phase not in phases:
                    continue
                source = getattr(self.data, staged)
                meter = Meter(rsync.pid, memory=self.sizes.warm)
                wall_s, cpu_a, _ = rsync.copy(f"{source}/" if staged == "small" else str(source), name)
                (cpu_b,), wire = meter.settle()
                self.transferred(rsync.name, phase, wall_s, cpu_a, cpu_b, wire)
                if not same_tree(source, rsync.target / name):
                    raise RuntimeError(f"{phase}: rsync's copy differs")
        finally:
            rsync.close()


def run_pair(bench: Bench, make: Callable[[Path], object], scratch: Path, phases: list[str]) -> None:
    """One fresh pair through all phases; what fails is said, and the rest goes on without this pair."""
    scratch.mkdir()
    pair = make(scratch)
    phase = "open"
    try:
        pair.open()
        for phase in phases:
            getattr(bench, phase)(pair)
            note(f"{pair.name} {phase} done, load {netns.load():.1f}")
    except Exception as error:
        bench.figures.fail(pair.name, phase, error)
        with contextlib.suppress(Exception):
            note(pair.trouble())
    finally:
        pair.close()
        shutil.rmtree(scratch, ignore_errors=True)


def run_once(bench: Bench, scratch: Path, phases: list[str], peers: list[str], *, first: bool) -> None:
    moving = [phase for phase in phases if phase not in {"latency", "idle", "startup"}]
    chosen = phases if first else moving
    run_pair(bench, NodePair, scratch / "ours", chosen)
    if "syncthing" in peers:
        # Its latency is its watcher's delay: measured apart, at the smallest delay and at the default.
        run_pair(bench, SyncthingPair, scratch / "syncthing", [phase for phase in chosen if phase != "latency"])
        if first and "latency" in phases:
            for delay_s, count in ((1, 2),) if bench.sizes.quick else ((1, 10), (10, 3)):
                pair = functools.partial(SyncthingPair, delay_s=delay_s)
                run_pair(_Latency(bench, f" delay {delay_s} s", count), pair, scratch / "latency", ["latency"])
    if "rsync" in peers and moving:
        (scratch / "rsync").mkdir()
        try:
            bench.rsync(scratch / "rsync", moving)
        except Exception as error:
            bench.figures.fail("rsync", "copy", error)
        shutil.rmtree(scratch / "rsync")


class _Latency:
    """The latency phase under another label."""

    def __init__(self, bench: Bench, label: str, count: int | None) -> None:
        self.figures = bench.figures
        self.latency = functools.partial(bench.latency, label=label, count=count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 MiB, 500 files and one run: within a minute")
    parser.add_argument(
        "--scratch", type=Path, metavar="DIR", help="where the folders are made (default: the temporary directory)"
    )
    parser.add_argument("--tmpfs", action="store_true", help="work in memory: leaves the disk out; needs 8 GiB free")
    parser.add_argument("--runs", type=int, metavar="N", help="runs of bulk, prepend and small (default: 3, quick: 1)")
    parser.add_argument(
        "--only", nargs="+", choices=PHASES, default=list(PHASES), metavar="PHASE", help=", ".join(PHASES)
    )
    parser.add_argument("--ours-only", action="store_true", help="leave the peers out")
    parser.add_argument("--profile", metavar="PY_SPY", help="record every phase of ours with this py-spy")
    parser.add_argument(
        "--profile-to", type=Path, metavar="DIR", help="where its raw stacks go (default: the temporary directory)"
    )
    parser.add_argument("--profile-options", default="", help="passed to it, for example '--gil -r 250'")
    arguments = parser.parse_args()
    netns.enter()
    peers = [] if arguments.ours_only else [peer for peer in ("syncthing", "rsync") if _installed(peer)]
    phases = [phase for phase in PHASES if phase in arguments.only]
    if "prepend" in phases and "bulk" not in phases:
        phases.insert(0, "bulk")
    sizes, figures = Sizes(quick=arguments.quick, runs=arguments.runs), Figures()
    profile_to = arguments.profile_to or Path(tempfile.gettempdir()) / "lattice-profile"
    profiler = Profiler(arguments.profile, profile_to, arguments.profile_options.split())
    with tempfile.TemporaryDirectory(prefix="lattice-bench-", dir=arguments.scratch) as name:
        scratch = Path(name)
        if arguments.tmpfs:
            netns.mount_tmpfs(scratch)
        bench = Bench(sizes, Data(scratch / "data", sizes), figures, profiler)
        note(f"{sizes.bulk // MIB} MiB, {sizes.files} files, {sizes.runs} runs, load {netns.load():.1f}")
        for run in range(sizes.runs):
            run_once(bench, scratch, phases, peers, first=run == 0)
        if arguments.tmpfs:
            subprocess.run(["umount", name], check=True)
    note(f"load {netns.load():.1f}")
    figures.print()
    return int(figures.failed)


def _installed(peer: str) -> bool:
    if shutil.which(peer) is None:
        note(f"{peer} is not installed: left out")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
