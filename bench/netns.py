"""Private namespaces, and what the kernel counts in them: wire bytes, CPU, memory.

Only `lo` exists in the network namespace, so its counter holds the bytes of the measured processes and nothing leaves
the machine. The mounts are private, so a tmpfs goes with them; the processes are, so none outlives the benchmark.
"""

import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

_INSIDE = "LATTICE_BENCH_NAMESPACE"
_TICK = os.sysconf("SC_CLK_TCK")


def enter() -> None:
    """Start this script again inside new namespaces (once); ends it with a message when that is not possible."""
    if os.environ.get(_INSIDE) != "1":
        if os.geteuid() != 0:
            raise SystemExit(
                "this benchmark makes a network namespace and needs root (for example: sudo -E env PATH=$PATH)"
            )
        missing = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
        if missing:
            raise SystemExit(f"not installed: {', '.join(missing)} (Debian: util-linux, iproute2)")
        os.environ[_INSIDE] = "1"
        own = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *own, sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def mount_tmpfs(path: Path) -> None:
    """A tmpfs at `path` that only this namespace sees and that is gone with it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80%", "lattice-bench", str(path)], check=True)


def warm_memory(count: int) -> None:
    """Touch `count` bytes of memory and give them back: what is measured next finds pages that are really there.

    A virtual machine may return its free pages to the host; the first touch then costs up to ten times a copy.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, count, flags=flags).close()


def wire_bytes() -> int:
    """Bytes sent on `lo` so far, both directions: what one end sends, the other receives."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[8])
    raise SystemExit("this namespace has no lo")


def cpu_s(pid: int) -> float:
    """User and system seconds of `pid`, its live descendants, and those it has waited for."""
    ticks = 0
    for one in _with_descendants(pid):
        fields = _stat(one)
        if fields is not None:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICK


def forget_peak(pid: int) -> None:
    """Let the peak of the resident memory start again from what it is now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """The peak of the resident memory since the start, or since `forget_peak`."""
    return _status_mib(pid, "VmHWM:")


def resident_mib(pid: int) -> float:
    """The resident memory now."""
    return _status_mib(pid, "VmRSS:")


def load() -> float:
    """The load of the whole machine over the last minute."""
    return os.getloadavg()[0]


def _status_mib(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0.0


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _with_descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found
