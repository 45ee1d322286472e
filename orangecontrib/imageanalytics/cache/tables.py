"""The cache's tables, and what is asked of them and written into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.cache.keys import checksum

if TYPE_CHECKING:
    import sqlite3

#: Part of the folder's name, so that versions of the add-on with other tables stay apart.
SCHEMA_VERSION = 1

#: Marks the file as ours ("OImE"), so that no other program's database is written into.
APPLICATION_ID = 0x4F496D45

# `entries` is narrow: noting that an entry was used rewrites 70 bytes, not a page per vector, and
# all of it can be read in a moment. `vectors` holds one vector of 1000 floats per page of 4 kB: 6 %
# overhead. WITHOUT ROWID would cost 19 % and twice the time; pages of 8 kB save 0.2 % at 1000
# floats and lose 6 % at 2048.
SCHEMA = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE
);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    content BLOB NOT NULL,  -- hash of the image's bytes
    model INTEGER NOT NULL,
    size INTEGER,           -- of the image, in bytes
    bytes INTEGER NOT NULL, -- of the vector
    used INTEGER NOT NULL,  -- Unix time, exact to a day
    UNIQUE (content, model)
);
CREATE INDEX entries_by_size ON entries (size);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, -- that of its entry
    checksum INTEGER NOT NULL,
    vector BLOB NOT NULL    -- float32, little-endian; or a thumbnail
);
CREATE TABLE files (
    path BLOB PRIMARY KEY,  -- digest
    state TEXT NOT NULL,    -- size, times and inode: whether it is still the same file
    content BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE web (
    url BLOB PRIMARY KEY,   -- digest
    etag TEXT,
    last_modified TEXT,
    expires REAL,           -- Unix time
    content BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
"""

# The casts: in a damaged file, a column can hold a value of any type. Checksums are of the key and
# what belongs to it; they are checked by whoever asks.
VECTOR = """
SELECT entries.id, CAST(entries.used AS INTEGER), vectors.checksum, vectors.vector
FROM models
JOIN entries ON entries.content = ? AND entries.model = models.id
JOIN vectors ON vectors.id = entries.id
WHERE models.fingerprint = ?
"""
FILE = """
SELECT CAST(content AS BLOB), checksum, CAST(used AS INTEGER)
FROM files WHERE path = ? AND state = ?
"""
FILE_AND_VECTOR = """
SELECT CAST(files.content AS BLOB), files.checksum, CAST(files.used AS INTEGER),
    entries.id, CAST(entries.used AS INTEGER), vectors.checksum, vectors.vector
FROM files
LEFT JOIN models ON models.fingerprint = ?
LEFT JOIN entries ON entries.content = files.content AND entries.model = models.id
LEFT JOIN vectors ON vectors.id = entries.id
WHERE files.path = ? AND files.state = ?
"""
SIZE = "SELECT 1 FROM entries WHERE size = ? LIMIT 1"
WEB = """
SELECT CAST(etag AS TEXT), CAST(last_modified AS TEXT), CAST(expires AS REAL),
    CAST(content AS BLOB), checksum, CAST(used AS INTEGER)
FROM web WHERE url = ?
"""
SIZES = """
SELECT CAST(models.model AS TEXT), count(*), CAST(sum(entries.bytes) AS INTEGER)
FROM entries JOIN models ON models.id = entries.model
GROUP BY models.model ORDER BY models.model
"""

# The tables whose rows note when they were used, with their keys.
_KEYS = {"entries": "id", "files": "path", "web": "url"}


@dataclass(frozen=True, slots=True)
class WebRow:
    """What is known of a web address whose image was embedded before.

    Attributes
    ----------
    url : str
        The address as it was asked for.
    etag, last_modified : str, optional
        The server's headers, to be sent back in a conditional request.
    expires : float, optional
        Until when the server's answer holds unasked (Unix time, seconds).
    content : bytes
        Hash of the image's bytes.
    """

    url: str
    etag: str | None
    last_modified: str | None
    expires: float | None
    content: bytes

    def checksum(self) -> int:
        """Compute the checksum of all fields."""
        expires = None if self.expires is None else float(self.expires)
        return checksum(self.url, self.etag, self.last_modified, expires, self.content)


@dataclass(frozen=True, slots=True)
class NewBlob:
    """A vector, or a thumbnail, on its way to the disk."""

    model: str
    size: int
    blob: bytes


@dataclass(slots=True)
class Batch:
    """What is to be written with the next commit.

    Attributes
    ----------
    vectors : dict
        By content hash and fingerprint.
    files : dict
        State and content hash by the path's digest.
    web : dict
        By the address's digest.
    used : dict
        By table, keys of the rows that were used today for the first time.
    sizes : set
        Of the images, in bytes.
    memory : int
        Roughly what it takes, in bytes.
    """

    vectors: dict[tuple[bytes, str], NewBlob] = field(default_factory=dict)
    files: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)
    web: dict[bytes, WebRow] = field(default_factory=dict)
    used: dict[str, set[int | bytes]] = field(
        default_factory=lambda: {table: set() for table in _KEYS}
    )
    sizes: set[int] = field(default_factory=set)
    memory: int = 0

    def __bool__(self) -> bool:
        return self.memory > 0

    def update(self, newer: Batch) -> None:
        """Take in a newer batch; its rows count where both have one."""
        self.vectors |= newer.vectors
        self.files |= newer.files
        self.web |= newer.web
        for table, keys in newer.used.items():
            self.used[table] |= keys
        self.sizes |= newer.sizes
        self.memory += newer.memory

    def write(self, db: sqlite3.Connection, now: int) -> None:
        """Write all of it, within the transaction that is open."""
        models = {(row.model, key[1]) for key, row in self.vectors.items()}
        db.executemany("INSERT OR IGNORE INTO models (model, fingerprint) VALUES (?, ?)", models)
        ids = {
            fingerprint: db.execute(
                "SELECT id FROM models WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()[0]
            for _, fingerprint in models
        }
        db.executemany(
            "INSERT INTO entries (content, model, size, bytes, used) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (content, model) DO UPDATE "
            "SET size = excluded.size, bytes = excluded.bytes, used = excluded.used",
            (
                (content, ids[fingerprint], row.size, len(row.blob), now)
                for (content, fingerprint), row in self.vectors.items()
            ),
        )
        db.executemany(
            "INSERT OR REPLACE INTO vectors "
            "SELECT id, ?, ? FROM entries WHERE content = ? AND model = ?",
            (
                (checksum(content, fingerprint, row.blob), row.blob, content, ids[fingerprint])
                for (content, fingerprint), row in self.vectors.items()
            ),
        )
        db.executemany(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            (
                (path, state, content, checksum(path, state, content), now)
                for path, (state, content) in self.files.items()
            ),
        )
        db.executemany(
            "INSERT OR REPLACE INTO web VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (url, row.etag, row.last_modified, row.expires, row.content, row.checksum(), now)
                for url, row in self.web.items()
            ),
        )
        for table, keys in self.used.items():
            db.executemany(
                f"UPDATE {table} SET used = ? WHERE {_KEYS[table]} = ?",
                [(now, key) for key in keys],
            )
