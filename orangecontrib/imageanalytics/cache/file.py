"""The cache's SQLite file: its two connections and its transactions."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.cache.fault import Fault, NotOursError
from orangecontrib.imageanalytics.cache.tables import APPLICATION_ID, SCHEMA, SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How long writing waits for another process's transaction, and reading, in seconds. Reading
#: waits for hardly anything but the recovery after a crash.
WRITE_TIMEOUT, READ_TIMEOUT = 5.0, 0.25

#: What SQLite leaves of its log after a checkpoint, in bytes.
LOG_SIZE = 16 * 2**20


class CacheFile:
    """One SQLite file, for any number of threads and processes.

    One connection reads, behind a lock that is held for some 10 µs; each query is a transaction
    of its own, so that no snapshot is held open and the log can be checkpointed. Another one
    writes. Nothing is opened or made before it is needed.

    The file has a folder of its own: a damaged one is set aside by renaming the folder, which
    takes file, log and shared memory away in one step. Renaming them one by one would let another
    process find an old log beside a new file.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / f"{name}-{SCHEMA_VERSION}"
        self.path = self.folder / f"{name}.sqlite"
        self._reading = threading.Lock()
        self._writing = threading.Lock()  # the first to be taken of the two
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._generation = 0
        _files.add(self)

    def exists(self) -> bool:
        """Tell whether there is a file yet."""
        try:
            return self.path.stat() is not None
        except OSError:
            return False

    def rows(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Return the rows that a query finds; none if there is no file yet.

        Raises
        ------
        Fault
        """
        with self._reading:
            generation = self._generation
            try:
                if self._reader is None:
                    self._reader = self._open_reader()
                    if self._reader is None:
                        return []
                return self._reader.execute(statement, parameters).fetchall()
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
                raise Fault(error, generation) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write within a transaction, which is on the disk when this returns.

        Raises
        ------
        Fault
            Nothing was written.
        """
        with self.writer() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error counts
                        db.execute("ROLLBACK")

    @contextlib.contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        """Give the connection that writes, to one thread at a time; the file is made if needed.

        Raises
        ------
        Fault
        """
        with self._writing:
            generation = self._generation
            try:
                opened = self._writer or self._reader
                if opened is not None and self._find_identity() != self._identity:
                    # Another process set the file aside, or a person deleted it.
                    with self._reading:
                        self._close_connections()
                    generation = self._generation
                if self._writer is None:
                    self._writer = self._open_writer()
                yield self._writer
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
                raise Fault(error, generation) from error

    def _find_identity(self) -> tuple[int, int] | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino

    def _connect(self, timeout: float) -> sqlite3.Connection:
        if self._reader is None and self._writer is None:
            self._identity = self._find_identity()
        return sqlite3.connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False
        )

    def _open_reader(self) -> sqlite3.Connection | None:
        if not self.exists():
            return None
        db = self._connect(READ_TIMEOUT)
        try:
            if _has_tables(db):
                return db
        except BaseException:
            db.close()
            raise
        db.close()  # being made by another process
        return None

    def _open_writer(self) -> sqlite3.Connection:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = self._connect(WRITE_TIMEOUT)
        try:
            if not _has_tables(db):
                self.path.chmod(0o600)
                _make_tables(db)
                self._identity = self._find_identity()
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
            # Debian's SQLite overwrites what is deleted: 2 s instead of 0.1 for 100 000 vectors,
            # and a log as large as they were, which a full disk has no room for.
            db.execute("PRAGMA secure_delete = OFF")
        except BaseException:
            db.close()
            raise
        return db

    def _close_connections(self) -> None:
        """Close both; the caller holds both locks."""
        self._generation += 1
        self._identity = None
        connections, self._reader, self._writer = (self._reader, self._writer), None, None
        for db in connections:
            if db is not None:
                with contextlib.suppress(sqlite3.Error):  # damaged, full: it is closed anyway
                    db.close()

    def set_aside(self, generation: int) -> Path | None:
        """Rename a damaged file, with its folder, so that a new one can be begun.

        Parameters
        ----------
        generation : int
            That of the fault. If another thread or process has set this file aside meanwhile,
            the new one stays where it is.

        Returns
        -------
        Path, optional
            The folder's new name; None if another one did it before.

        Raises
        ------
        Fault
            It cannot be renamed: on Windows, if another process has it open.
        """
        with self._writing:
            if generation != self._generation:
                return None
            before = self._identity
            with self._reading:
                self._close_connections()
            if before is not None and before != self._find_identity():
                return None
            name = f"{self.folder.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
            aside = self.folder.with_name(name)
            try:
                self.remove_set_aside()
                self.folder.rename(aside)
            except OSError as error:
                raise Fault(error, self._generation) from error
            return aside

    def remove_set_aside(self) -> None:
        """Remove what was set aside earlier: of damaged files only the latest is kept."""
        for folder in self.folder.parent.glob(f"{self.folder.name}.damaged-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def close(self, timeout: float = -1) -> None:
        """Close the connections, unless a thread is stuck in writing for longer than `timeout` s.

        The last one to close brings the log into the file and removes it.
        """
        if self._writing.acquire(timeout=timeout):
            try:
                with self._reading:
                    self._close_connections()
            finally:
                self._writing.release()

    def before_fork(self) -> None:
        """Close the connections and let no thread open others until the process has forked."""
        self._writing.acquire()
        self._reading.acquire()
        self._close_connections()

    def after_fork(self) -> None:
        """Let threads open connections again, in either process."""
        self._reading.release()
        self._writing.release()


_files: weakref.WeakSet[CacheFile] = weakref.WeakSet()
_held: list[CacheFile] = []


def _before_fork() -> None:
    # SQLite keeps account of its locks on a file per process. A forked one would take its
    # parent's for its own, even for connections that it opens itself, and lose what it writes.
    _held[:] = _files
    for file in _held:
        file.before_fork()


def _after_fork() -> None:
    while _held:
        _held.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _has_tables(db: sqlite3.Connection) -> bool:
    """Tell whether the tables are there; raise NotOursError if others are."""
    db.execute("BEGIN")  # one snapshot, as another process may be making them
    try:
        return _sees_tables(db)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _sees_tables(db: sqlite3.Connection) -> bool:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
        return True
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables or application or version:
        raise NotOursError("it is another program's database")
    return False


def _make_tables(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything else: it cannot be changed
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OSError("the folder's file system cannot share a database between processes")
    db.execute("BEGIN IMMEDIATE")
    if not _sees_tables(db):  # made by another process meanwhile
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
