"""Why the files of a person are not touched."""

from latticework.wire import LocalError, StoreError


class FolderStoppedError(StoreError):
    """The folder cannot be worked on as a whole: gone, unmounted, another folder's, or without permission."""


class LocalChangeError(LocalError):
    """The path changed on disk since it was last looked at; it must be scanned before it is touched."""


class BlockedError(LocalError):
    """Something of another kind stands where the path should go."""
