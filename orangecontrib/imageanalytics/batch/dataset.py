"""The Parquet dataset: shards of one schema, each written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.batch import addresses
from orangecontrib.imageanalytics.batch.addresses import reaching
from orangecontrib.imageanalytics.outcome import Embedded, EmbeddingError, Outcome, Reason, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

#: Where the schema's metadata say what is in a shard, as JSON.
KEY = b"orange3-image-embedding"

#: Reasons that may have passed when it is tried again, at little cost.
PASSING = frozenset(
    {Reason.NOT_FOUND, Reason.NOT_READABLE, Reason.NOT_DOWNLOADED, Reason.SERVER_FAILED}
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one image."""

    outcome: Outcome
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What is in a shard, as its metadata say.

    Attributes
    ----------
    model, fingerprint : str
        Id of the model, and what its vectors depend on.
    dimension : int
        Their length.
    references : str
        Hash of the names of the images, in their order.
    reasons : dict of str to int
        How many were skipped, by `Reason`'s names.
    embedded : int
        How many were not.
    """

    model: str
    fingerprint: str
    dimension: int
    references: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    embedded: int = 0

    def may_be_better(self, again: frozenset[Reason]) -> bool:
        """Whether some images were skipped for one of these reasons."""
        return any(reason.name in self.reasons for reason in again)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder of shards.

    Attributes
    ----------
    folder : str
        An absolute path, or an address that fsspec writes to.
    """

    folder: str

    def make(self) -> None:
        """Make the folder, unless it is there."""
        fs, path = self._opened()
        with reaching(self.folder, "cannot be made"):
            fs.makedirs(path, exist_ok=True)

    def numbers(self) -> set[int]:
        """Give the numbers of all shards that are there."""
        fs, path = self._opened()
        fs.invalidate_cache()
        with reaching(self.folder):
            try:
                listed = fs.ls(path, detail=False)
            except FileNotFoundError:  # an object store has no empty folders
                return set()
        names = (str(name).rpartition("/")[2] for name in listed)
        return {
            int(name[5:-8])
            for name in names
            if name.startswith("part-") and name.endswith(".parquet") and name[5:-8].isdecimal()
        }

    def has(self, number: int) -> bool:
        """Whether a shard is there."""
        fs, path = self._opened(number)
        fs.invalidate_cache()
        with reaching(self.name(number)):
            return bool(fs.exists(path))

    def summary(self, number: int, wanted: Summary | None = None) -> Summary:
        """Read what is in a shard; its rows are not read.

        Raises
        ------
        EmbeddingError
            If it cannot be read, or its vectors are of another model than those that are wanted.
        """
        from pyarrow import parquet

        with self._reading(number) as file:
            schema = parquet.read_schema(file)
        return self._said(number, schema, wanted)

    def paths(self, number: int, wanted: Summary | None = None) -> list[str]:
        """Read the names of a shard's images. It raises what `summary` does."""
        from pyarrow import parquet

        with self._reading(number) as file:
            table = parquet.read_table(file, columns=["path"])
        self._said(number, table.schema, wanted)
        names: list[str] = table.column("path").to_pylist()
        return names

    def rows(self, number: int, wanted: Summary | None = None) -> dict[str, Row]:
        """Read a shard; each image's last row. It raises what `summary` does."""
        from pyarrow import parquet

        with self._reading(number) as file:
            table = parquet.read_table(file)
        dimension = self._said(number, table.schema, wanted).dimension
        vectors = table.column("embedding").combine_chunks()
        numbers = np.asarray(vectors.values if len(vectors) else [], np.float32)
        matrix = numbers.reshape(-1, dimension)[vectors.offset : vectors.offset + len(vectors)]
        found = {}
        names = ("path", "content", "reason", "detail")
        columns = [table.column(name).to_pylist() for name in names]
        for vector, path, content, reason, detail in zip(matrix, *columns, strict=True):
            outcome = Skipped(Reason(reason), detail) if reason else Embedded(vector)
            found[path] = Row(outcome, content)
        return found

    def write(
        self, number: int, references: Sequence[str], rows: Sequence[Row], said: Summary
    ) -> None:
        """Write a shard: under its name there is the whole one, or what was there before.

        Raises
        ------
        EmbeddingError
            If it cannot be written, or another program has put vectors of another model there.
        """
        from pyarrow import parquet

        content = io.BytesIO()
        parquet.write_table(_table(references, rows, said), content, compression="zstd")
        if self.has(number):
            self.summary(number, said)
        fs, path = self._opened(number)
        with reaching(self.folder, "cannot be written to"):
            if "file" in _protocols(fs):
                _replace(Path(path), content.getbuffer())
            else:  # object stores put a file whole
                fs.pipe_file(path, content.getvalue())

    def name(self, number: int) -> str:
        """Give a shard's address."""
        return f"{self.folder.rstrip('/')}/part-{number:06}.parquet"

    def _opened(self, number: int | None = None) -> tuple[Any, str]:
        address = self.folder if number is None else self.name(number)
        if addresses.is_address(address):
            return addresses.opened(address)
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(), address

    @contextmanager
    def _reading(self, number: int) -> Iterator[Any]:
        fs, path = self._opened(number)
        advice = "cannot be read (if it is damaged, delete it and run it again)"
        with reaching(self.name(number), advice), fs.open(path, "rb") as file:
            yield file

    def _said(self, number: int, schema: pa.Schema, wanted: Summary | None = None) -> Summary:
        metadata = (schema.metadata or {}).get(KEY)
        if metadata is None:
            raise EmbeddingError(f"{self.name(number)} is another program's. Name another folder.")
        said = Summary(**json.loads(metadata))
        if wanted and (said.model, said.fingerprint) != (wanted.model, wanted.fingerprint):
            raise EmbeddingError(
                f"{self.name(number)} holds vectors of {said.model} in another version, or of "
                f"another model than {wanted.model}. Name another folder."
            )
        return said


def readable(reference: str) -> str:
    """Give a name as text: bytes that are not UTF-8 as escapes."""
    return reference.encode("utf-8", "backslashreplace").decode()


def _table(references: Sequence[str], rows: Sequence[Row], said: Summary) -> pa.Table:
    import pyarrow as pa

    matrix = np.zeros((len(rows), said.dimension), np.float32)
    skipped: list[Skipped | None] = []
    for place, row in enumerate(rows):
        if isinstance(row.outcome, Embedded):
            matrix[place] = row.outcome.vector
            skipped.append(None)
        else:
            skipped.append(row.outcome)
    missing = np.array([one is not None for one in skipped], bool)
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(matrix.ravel()), said.dimension, mask=pa.array(missing)
    )
    table = pa.table(
        {
            "path": pa.array([readable(one) for one in references], pa.string()),
            "content": pa.array([row.content for row in rows], pa.binary(32)),
            "reason": pa.array([one and one.reason.value for one in skipped], pa.string()),
            "detail": pa.array([one and readable(one.detail) for one in skipped], pa.string()),
            "embedding": vectors,
        }
    )
    return table.replace_schema_metadata({KEY: json.dumps(asdict(said))})


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _replace(path: Path, content: memoryview) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
