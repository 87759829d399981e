"""rsync to a daemon on loopback: unencrypted, one way, no watching; the floor for the transfer itself."""

import os
import socket
import subprocess
import time
from pathlib import Path

from node_pair import end, wait_for

_PORT = 8730


class Rsync:
    """The daemon keeps the scratch directory's `rsync` as its module."""

    name = "rsync"

    def __init__(self, scratch: Path) -> None:
        self.target = scratch / "rsync"
        self.target.mkdir()
        config = scratch / "rsyncd.conf"
        config.write_text(f"use chroot = no\nuid = 0\ngid = 0\n[m]\npath = {self.target}\nread only = no\n")
        self.process = subprocess.Popen(
            ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={_PORT}", f"--config={config}"]
        )
        wait_for(_listens, 20, "the rsync daemon")

    @property
    def pid(self) -> int:
        return self.process.pid

    def copy(self, source: str, target: str) -> tuple[float, float, float]:
        """Wall seconds, CPU seconds and peak MiB of the sending side; the tree's daemon is measured by the caller."""
        began = time.perf_counter()
        sender = subprocess.Popen(["rsync", "-a", source, f"rsync://127.0.0.1:{_PORT}/m/{target}"])
        _, status, usage = os.wait4(sender.pid, 0)
        sender.returncode = os.waitstatus_to_exitcode(status)
        if sender.returncode:
            raise RuntimeError(f"rsync ended with {sender.returncode}")
        return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def close(self) -> None:
        end(self.process)


def _listens() -> bool:
    try:
        socket.create_connection(("127.0.0.1", _PORT), 1).close()
    except OSError:
        return False
    return True
