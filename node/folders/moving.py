"""Renames that replace nothing, and exchanges of two names: renameat2(2), Linux 3.15.

Python's rename replaces whatever stands at the new name at that moment, which may be something that a person put there
after we looked. Where the system or the file system lacks these calls, a hard link and a plain rename come nearest.
"""

import ctypes
import errno
import os

_NOREPLACE, _EXCHANGE = 1, 2
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})
"""What systems, file systems and sandboxes without these calls answer; if EPERM means the file, the rename says so."""
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})
"""What file systems without hard links answer."""

_Renameat2 = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, use_errno=True
)
_libc = ctypes.CDLL(None)
_renameat2 = _Renameat2(("renameat2", _libc)) if hasattr(_libc, "renameat2") else None


def move_to_free(old: bytes, source: int, new: bytes, target: int) -> None:
    """Move a file from one open directory to a free name in another; raises FileExistsError, other OSErrors."""
    if _rename(old, source, new, target, _NOREPLACE):
        return
    try:
        os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)
        return
    os.unlink(old, dir_fd=source)


def exchange(one: bytes, source: int, other: bytes, target: int) -> bool:
    """Exchange what two names of open directories stand for, at once; False where that cannot be done."""
    return _rename(one, source, other, target, _EXCHANGE)


def _rename(old: bytes, source: int, new: bytes, target: int, flags: int) -> bool:
    if _renameat2 is None:
        return False
    if _renameat2(source, old, target, new, flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), os.fsdecode(old), None, os.fsdecode(new))
