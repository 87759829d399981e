"""Why a path is not in step: every item has a typed reason and a next action; none is "unknown"."""

import errno
from dataclasses import dataclass
from enum import Enum

from latticework.wire import MalformedError


class Reason(Enum):
    """The reasons; the value is the word in JSON output, the text is for people."""

    DOWNLOADING = "downloading"
    NO_SOURCE = "no-source"
    LOCAL_CHANGE = "local-change"
    DISK_FULL = "disk-full"
    PERMISSION = "permission"
    NAME = "name"
    BLOCKED = "blocked"
    IGNORED = "ignored"
    DAMAGED = "damaged"
    IO = "io"
    UNSUPPORTED = "unsupported"
    FOLDER_STOPPED = "folder-stopped"
    TORN = "changing"


ACTIONS = {
    Reason.DOWNLOADING: "wait; it is on its way",
    Reason.NO_SOURCE: "connect a device that has this version (lattice status shows who is reachable)",
    Reason.LOCAL_CHANGE: "wait; the local change is published first and both are kept",
    Reason.DISK_FULL: "free some space; it goes on by itself",
    Reason.PERMISSION: "make the folder writable and readable for you; it goes on by itself",
    Reason.NAME: "this disk cannot hold the name; rename it on a device that can",
    Reason.BLOCKED: "move what stands in the way elsewhere",
    Reason.IGNORED: "remove the pattern from .latticeignore if you want it here",
    Reason.DAMAGED: "the sender's data does not check out; it is asked for again, then look at lattice doctor",
    Reason.IO: "look at the message; it is tried again by itself",
    Reason.UNSUPPORTED: "nothing; sockets, pipes and devices are never synced",
    Reason.FOLDER_STOPPED: "mount or restore the folder; it goes on by itself",
    Reason.TORN: "wait until the program that writes it is done",
}


@dataclass(frozen=True, slots=True)
class Pending:
    """Why one path is not in step, with the error's own words where there are any."""

    reason: Reason
    message: str = ""

    @property
    def action(self) -> str:
        """What a person can do."""
        return ACTIONS[self.reason]


_BY_ERRNO = {
    errno.ENOSPC: Reason.DISK_FULL,
    errno.EDQUOT: Reason.DISK_FULL,
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.EROFS: Reason.PERMISSION,
    errno.ENAMETOOLONG: Reason.NAME,
    errno.EILSEQ: Reason.NAME,
    errno.EINVAL: Reason.NAME,
}


def pending_for(error: OSError | MalformedError) -> Pending:
    """The reason that an error stands for."""
    if isinstance(error, MalformedError):
        return Pending(Reason.DAMAGED, str(error))
    return Pending(_BY_ERRNO.get(error.errno or 0, Reason.IO), error.strerror or str(error))
