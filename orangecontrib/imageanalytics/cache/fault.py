"""What can go wrong with the cache's file, by what helps against it."""

from __future__ import annotations

import sqlite3
from enum import Enum, auto


class Trouble(Enum):
    """What kind of fault an error of SQLite or of the file system is."""

    DAMAGED = auto()  # the file's content: a new one helps
    LOCKED = auto()  # another process is at it: waiting helps
    UNUSABLE = auto()  # the disk is full, read-only, gone...: nothing that we can do helps


# SQLITE_ERROR: our statements are right, so a table is missing. The last two: an index lies.
_TROUBLES = {
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_ERROR: Trouble.DAMAGED,
    sqlite3.SQLITE_CONSTRAINT: Trouble.DAMAGED,
    sqlite3.SQLITE_MISMATCH: Trouble.DAMAGED,
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_PROTOCOL: Trouble.LOCKED,
}


class NotOursError(sqlite3.DatabaseError):
    """The file is a database, but not one that this version of the cache has made."""


class Fault(Exception):
    """An access to the file failed.

    Attributes
    ----------
    trouble : Trouble
        What kind of fault it is.
    generation : int
        Which of the files of this name it happened to; see `CacheFile.set_aside`.
    """

    def __init__(self, error: Exception, generation: int) -> None:
        super().__init__(str(error))
        self.generation = generation
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            self.trouble = _TROUBLES.get(code & 0xFF, Trouble.UNUSABLE)
        elif isinstance(error, NotOursError | UnicodeDecodeError | sqlite3.OperationalError):
            self.trouble = Trouble.DAMAGED  # the latter two: what should be text is not
        else:
            self.trouble = Trouble.UNUSABLE
