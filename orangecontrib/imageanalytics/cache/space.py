"""The disk space that the cache takes: keeping it within its limit, and giving it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from orangecontrib.imageanalytics.cache.file import CacheFile

#: Trimming leaves this share of the limit in use, so that it is needed only now and then.
TRIMMED = 0.9

#: Vectors dropped, or pages moved, in one transaction; then other processes have their turn.
STEP = 5000

#: What can be copied into a new file in a moment, in bytes.
LITTLE = 32 * 2**20

_UNKNOWN_CONTENT = "content NOT IN (SELECT content FROM entries)"


def in_use(db: sqlite3.Connection) -> int:
    """Return the bytes of all pages that hold something."""
    return (_pragma(db, "page_count") - _pragma(db, "freelist_count")) * _pragma(db, "page_size")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def trim(file: CacheFile, limit: int) -> int:
    """Drop what was used least recently, if more than `limit` bytes are in use.

    The pages that become free are filled by the next vectors, so the file itself grows no further
    than the limit and what one second adds; a larger one (the limit was lowered) is cut. Files
    and web addresses that were not used for as long are forgotten too.

    Returns
    -------
    int
        Number of vectors dropped.

    Raises
    ------
    Fault
    """
    dropped = 0
    goal = limit
    while True:
        with file.transaction() as db:
            excess = in_use(db) - goal
            if excess <= 0:
                break
            if not dropped:
                goal = int(TRIMMED * limit)
                excess = in_use(db) - goal
            step = _drop_oldest(db, excess)
        if not step:
            break
        dropped += step
    if dropped:
        _cut(file, limit)
    return dropped


def _drop_oldest(db: sqlite3.Connection, excess: int) -> int:
    oldest = db.execute(
        "SELECT id, CAST(bytes AS INTEGER), used FROM entries ORDER BY used, id LIMIT ?", (STEP,)
    ).fetchall()
    ids = []
    latest = 0
    for entry, size, used in oldest:
        ids.append((entry,))
        latest = used
        excess -= size or 0
        if excess <= 0:
            break
    if ids:
        db.executemany("DELETE FROM vectors WHERE id = ?", ids)
        db.executemany("DELETE FROM entries WHERE id = ?", ids)
        db.execute("DELETE FROM files WHERE used < ?", (latest,))
        db.execute("DELETE FROM web WHERE used < ?", (latest,))
    return len(ids)


def clear(file: CacheFile, model: str | None) -> int:
    """Drop a model's vectors, or all of them, and give their space back to the disk.

    Returns
    -------
    int
        Number of vectors dropped.

    Raises
    ------
    Fault
    """
    with file.transaction() as db:
        if model is None:
            (dropped,) = db.execute("SELECT count(*) FROM entries").fetchone()
            for table in ("vectors", "entries", "models", "files", "web"):
                db.execute(f"DELETE FROM {table}")
        else:
            of_model = "SELECT id FROM models WHERE model = ?"
            db.execute(
                "DELETE FROM vectors WHERE id IN "
                f"(SELECT id FROM entries WHERE model IN ({of_model}))",
                (model,),
            )
            dropped = db.execute(
                f"DELETE FROM entries WHERE model IN ({of_model})", (model,)
            ).rowcount
            db.execute("DELETE FROM models WHERE model = ?", (model,))
            db.execute(f"DELETE FROM files WHERE {_UNKNOWN_CONTENT}")
            db.execute(f"DELETE FROM web WHERE {_UNKNOWN_CONTENT}")
    with file.writer() as db:
        if in_use(db) < LITTLE:  # 0.2 s; moving 100 000 free pages out of the file takes 1.5 s
            db.execute("VACUUM")
    _cut(file, 0)
    return int(dropped)


def _cut(file: CacheFile, size: int) -> None:
    """Move pages from the file's end into free ones until it is no longer than `size` bytes."""
    while True:
        with file.writer() as db:
            pages = _pragma(db, "page_count") - size // _pragma(db, "page_size")
            step = min(STEP, pages, _pragma(db, "freelist_count"))
            if step <= 0:
                break
            # A transaction of its own. With `execute`, Python takes but one page's step of it.
            db.executescript(f"PRAGMA incremental_vacuum({step})")
    with file.writer() as db:  # the file is cut when the log is brought in
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
