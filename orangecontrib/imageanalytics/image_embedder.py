"""ImageEmbedder: everything that a script needs."""

from __future__ import annotations

import os
import sys
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from orangecontrib.imageanalytics import installed_beside, models
from orangecontrib.imageanalytics.cache import Cache
from orangecontrib.imageanalytics.decoding.fit import DEPTHS
from orangecontrib.imageanalytics.outcome import (
    ComputedColumnError,
    Embedded,
    EmbeddingConnectionError,
    EmbeddingError,
    InputTypeError,
    MissingModelError,
    ModelDownloadError,
    ModelFileError,
    Outcome,
    Reason,
    ServerRefusedError,
    ServerSettingError,
    Skipped,
    UnknownModelError,
    WorkerError,
)
from orangecontrib.imageanalytics.pipeline import Pipeline
from orangecontrib.imageanalytics.server_client.address import (
    ADDRESS_VARIABLE,
    DEFAULT_SERVER,
    TOKEN_VARIABLE,
    is_exposed,
    is_kserve,
    server_address,
    server_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray
    from Orange.data import Table, Variable

    from orangecontrib.imageanalytics.computed_columns import Embedding
    from orangecontrib.imageanalytics.decoding.fit import Squash
    from orangecontrib.imageanalytics.embedder import Embedder, Lost
    from orangecontrib.imageanalytics.web.downloads import Downloads
    from orangecontrib.imageanalytics.web.reach import Reach

    Callback = Callable[[float], object]

__all__ = [
    "ADDRESS_VARIABLE",
    "DEFAULT_SERVER",
    "MODELS",
    "TOKEN_VARIABLE",
    "ComputedColumnError",
    "Embedded",
    "EmbeddingConnectionError",
    "EmbeddingError",
    "ImageEmbedder",
    "InputTypeError",
    "MissingModelError",
    "ModelDownloadError",
    "ModelFileError",
    "Outcome",
    "Reason",
    "ServerRefusedError",
    "ServerSettingError",
    "Skipped",
    "UnknownModelError",
    "WorkerError",
    "is_exposed",
    "server_address",
    "server_name",
]

installed_beside.warn_if_public_addon_is_installed()

#: The models as scripts for Orange3-ImageAnalytics read them; `models.find` says more.
MODELS: dict[str, dict[str, Any]] = {
    model.id: {
        "name": model.title,
        "description": model.description,
        "target_image_size": model.input_size,
        "layers": ["penultimate"],
        "order": order,
        "is_local": model.is_local,
    }
    for order, model in enumerate(models.of_catalogue().values())
}


class ImageEmbedder:
    """Turns images into vectors with a pretrained network.

    Workers, connections and threads are started when the first image comes, are kept from call
    to call (idle workers end after a minute), and end with `close`, with the ``with`` block,
    or with the program.

    Parameters
    ----------
    model : str
        Id of a model of the `catalogue`, or of the user's own (the name of its file without
        ``.onnx``). The default, SqueezeNet, runs on this computer.
    server_url : str, optional
        Address of the embedding server, for models that run there. The environment variable
        ORANGE_EMBEDDING_API_URL wins over it; the default is the public server. A server that
        speaks KServe v2 (``kserve+http://host:8000``) computes every model, also those that
        could run here: images are sent to it.
    token : str, optional
        Bearer token for that server; the environment variable ORANGE_EMBEDDING_TOKEN otherwise.
    provider : str
        What computes a local model: "cpu", whose numbers are the same everywhere, or "cuda",
        "coreml" or "directml", if the installed onnxruntime offers it.
    depth : int, optional
        The number of bits that 16-bit pictures were recorded with: 10, 12, 14 or 16. Black is 0
        and white 2 ** depth - 1 then, in all of them, which makes pictures of one camera
        comparable. By default it is told of each picture by itself: the smallest of 8, 10, 12, 14
        and 16 that holds its largest value. Pictures of floating-point numbers always span their
        own range; those of 8 bits are what they are.
    cache : Cache, path or False, optional
        The cache, its folder, or False for none; the user's own by default.
    models_folder : path, optional
        Where models of the user's own and downloaded ones are; see `models.default_folder`.
    download : bool
        Whether a model that can be downloaded is fetched now if it is not there. This sends no
        image. The environment variable ORANGE_IMAGE_DOWNLOAD=1 allows it for all scripts.
    executor : concurrent.futures.Executor, optional
        Where local models run instead of processes of our own: for instance a Dask cluster,
        through ``dask.distributed.Client.get_executor()``, each worker of which has such
        processes of its own.
    workers : int, optional
        Number of worker processes, or of workers that the executor has; by default that of the
        cores that this process may use, or of the threads of a Dask cluster.
    shared_files : bool, optional
        Whether the executor's workers see the files of this computer by the same paths; by
        default, it is tried with the first file. Others are read here and sent.
    reach : web.reach.Reach, optional
        Where web images may be fetched from: by default from where the references say, but from
        no link-local address.

    Raises
    ------
    UnknownModelError
        A ValueError: there is no such model; the text lists those that there are.
    ValueError
        There is no such depth.
    MissingModelError
        It has to be downloaded first; the text says how.
    ModelDownloadError, EmbeddingConnectionError
        It could not be downloaded; what has arrived is kept.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    >>> with ImageEmbedder("squeezenet", cache=False) as embedder:
    ...     vectors = embedder(["examples/photos/fruit/lemon.png", "missing.png"])
    >>> vectors[0].shape, vectors[0].dtype, vectors[1]
    ((1000,), dtype('float32'), None)
    """

    def __init__(
        self,
        model: str = models.DEFAULT,
        server_url: str | None = None,
        *,
        token: str | None = None,
        provider: str = "cpu",
        depth: int | None = None,
        cache: Cache | str | os.PathLike[str] | bool | None = None,
        models_folder: str | os.PathLike[str] | None = None,
        download: bool = False,
        executor: Executor | None = None,
        workers: int | None = None,
        shared_files: bool | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._model = models.require(model, models_folder, download=download)
        self.model = model
        self.server_url = server_url
        self._token = token
        self._provider = provider
        if depth is not None and depth not in DEPTHS:
            raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, not {depth!r}")
        self._depth = depth
        self._executor = executor
        self._workers = workers
        self._shared_files = shared_files
        self._reach = reach
        if isinstance(cache, Cache):
            self._cache = cache
        elif cache is None or isinstance(cache, bool):
            self._cache = Cache(enabled=cache is not False)
        else:
            self._cache = Cache(Path(cache).expanduser())
        self._at_work = _AtWork()
        self._process = os.getpid()
        self._runs = 0
        self._finalizer = weakref.finalize(self, self._at_work.close)

    def __enter__(self) -> ImageEmbedder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ImageEmbedder({self.model!r})"

    @overload
    def __call__(
        self,
        data: Iterable[Any],
        col: str | Variable = "image",
        callback: Callback | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
    ) -> list[NDArray[np.float32] | None]: ...

    @overload
    def __call__(
        self,
        data: Table,
        col: str | Variable = "image",
        callback: Callback | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
    ) -> tuple[Table | None, Table | None, int]: ...

    def __call__(
        self,
        data: Any,
        col: str | Variable = "image",
        callback: Callback | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Embed the images of a list or of a table.

        Parameters
        ----------
        data : list of N images, or Table of N rows
            An image is a path (str or Path), an http or https address, a ``data:`` URI, the
            bytes of an image file, a PIL image, or a uint8 array [H, W], [H, W, 3] or [H, W, 4].
        col : str or Variable
            The table's column of images, text or categorical.
        callback : callable, optional
            Called with the finished share of the images, from 0 to 1: after each image, and ten
            times a second while none is finished. What it raises stops the run at once and comes
            out unchanged.
        folder : path, optional
            For a table: where images are whose names do not say it; see `tables.references`.

        Returns
        -------
        list of N ndarray of shape (D,), float32, or None
            For a list: each image's embedding, None where the image was skipped.
        tuple (Table or None, Table or None, int)
            For a table: see `from_table`.

        Raises
        ------
        InputTypeError
            A TypeError: the data, or one of the images, is of another type.
        ColumnError
            A ValueError: the table has no such column.
        EmbeddingError
            What else stops the run; what was computed until then is in the cache.
        """
        if _is_table(data):
            return self.from_table(data, col, callback, folder=folder)
        return [
            outcome.vector if isinstance(outcome, Embedded) else None
            for outcome in self.outcomes(data, callback=callback)
        ]

    def from_table(
        self,
        data: Table,
        col: str | Variable = "image",
        callback: Callback | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
    ) -> tuple[Table | None, Table | None, int]:
        """Embed the images of a table's column.

        Returns
        -------
        embedded : Table or None
            The rows whose image was embedded, with D more columns ``n0``, ``n1``, ...
        skipped : Table or None
            The other rows, with a text column ``skip reason``.
        n_skipped : int
            The number of skipped rows.
        """
        from orangecontrib.imageanalytics import widened_tables

        outcomes = list(self.outcomes(data, col, callback=callback, folder=folder))
        return widened_tables.with_embeddings(data, outcomes, self.embedding(col))

    def outcomes(
        self,
        data: Iterable[Any] | Table,
        col: str | Variable = "image",
        *,
        callback: Callback | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> Iterator[Outcome]:
        """Embed images one after the other, and say what became of each.

        Parameters
        ----------
        data, col, callback, folder
            See `__call__`. The images may also come from a generator, if there is no callback.

        Yields
        ------
        Embedded or Skipped
            In the order of the images. Leaving the loop early stops the run.
        """
        references = self._references(data, col, folder)
        count = len(references) if callback is not None else 0  # type: ignore[arg-type]

        def tick(finished: int) -> None:
            if callback is not None:
                callback(finished / count)

        if callback is not None and count == 0:
            callback(1.0)
        embedder = self._embedder()
        embedder.begin()
        if self._at_work.downloads is not None:
            self._at_work.downloads.begin()
        self._runs += 1
        number = self._runs
        made = _Made(self._model.id, replace(self._model.fit, depth=self._depth))
        run = Pipeline(made, embedder, self._cache, self._downloads, tick).run(references)
        try:
            yield from run
        except BaseException:
            if self._runs == number:  # else a later run is under way with the same workers
                self._end_work()
            raise

    @property
    def lost(self) -> Lost | None:
        """How the server was lost in the last run, if it was; as a text, it is for people."""
        embedder = self._at_work.embedder
        return None if embedder is None else embedder.lost

    @property
    def fingerprint(self) -> str:
        """What the vectors depend on besides the image: weights and preprocessing, or the server.

        Not what computes: a GPU's numbers differ from the CPU's in their last digits only.
        """
        return str(self._embedder().fingerprint).removesuffix(f" {self._provider}")

    def embedding(self, col: str | Variable = "image") -> Embedding:
        """Say how the columns of an embedding by this embedder compute themselves.

        Parameters
        ----------
        col : str or Variable
            The column of images.
        """
        from orangecontrib.imageanalytics.computed_columns import Embedding
        from orangecontrib.imageanalytics.surroundings import surroundings

        address = None
        if not self.is_local_embedder():
            address = server_address(self.server_url)
            surroundings().choose(address, self._token)
        return Embedding(
            model=self._model.id,
            fingerprint=self.fingerprint,
            image=str(getattr(col, "name", col)),
            title=self._model.title,
            dimension=self._model.dimension,
            opens=ImageEmbedder,
            server=address,
            depth=self._depth,
        )

    def is_local_embedder(self) -> bool:
        """Tell whether the model runs on this computer, and no image leaves it."""
        return self._model.is_local and not is_kserve(self.server_url)

    def start(self) -> None:
        """Start the workers now, while something else is being prepared."""
        self._embedder().start()

    def clear_cache(self) -> None:
        """Forget all that was computed with this model."""
        self._cache.clear(self._model.id)

    def close(self) -> None:
        """End workers, connections and threads at once; the next call would start them anew."""
        self._end_work()
        self._cache.flush()

    def _end_work(self) -> None:
        if self._process == os.getpid():
            self._at_work.close()

    def _embedder(self) -> Embedder:
        if self._process != os.getpid():  # forked: threads and workers are the parent's
            self._at_work.embedder = self._at_work.downloads = None
            self._process = os.getpid()
        if self._at_work.embedder is None:
            self._at_work.embedder = (
                self._local_embedder() if self.is_local_embedder() else self._server_embedder()
            )
        return self._at_work.embedder

    def _local_embedder(self) -> Embedder:
        from orangecontrib.imageanalytics.local_embedder import LocalEmbedder

        return LocalEmbedder(
            self._model,
            provider=self._provider,
            depth=self._depth,
            executor=self._executor,
            workers=self._workers,
            shared_files=self._shared_files,
        )

    def _server_embedder(self) -> Embedder:
        from orangecontrib.imageanalytics.server_embedder import ServerEmbedder

        return ServerEmbedder(self._model, self.server_url, token=self._token, depth=self._depth)

    def _downloads(self) -> Downloads:
        if self._at_work.downloads is None:
            from orangecontrib.imageanalytics.web.downloads import Downloads

            self._at_work.downloads = Downloads(self._cache, reach=self._reach)
        return self._at_work.downloads

    @staticmethod
    def _references(
        data: Any, col: str | Variable, folder: str | os.PathLike[str] | None
    ) -> Iterable[Any]:
        if _is_table(data):
            from orangecontrib.imageanalytics import tables

            return tables.references(data, col, folder)
        _check_collection(data)
        return data if hasattr(data, "__len__") else iter(data)

    @staticmethod
    def prepare_output_data(
        input_data: Table, embeddings_: Sequence[Any]
    ) -> tuple[Table | None, Table | None, int]:
        """Part a table by embeddings, of which some are None; kept for older scripts."""
        import numpy as np

        from orangecontrib.imageanalytics import widened_tables

        outcomes: list[Outcome] = [
            Skipped(Reason.NO_IMAGE, "no embedding was given for this row")
            if vector is None or len(vector) == 0
            else Embedded(np.asarray(vector, np.float32))
            for vector in embeddings_
        ]
        return widened_tables.with_embeddings(input_data, outcomes)


@dataclass(frozen=True, slots=True)
class _Made:
    """The vectors of a model with the depth that was said, as `Pipeline` takes them."""

    id: str
    fit: Squash


@dataclass(slots=True)
class _AtWork:
    """What a facade has started; apart from it, so that a finalizer can close it."""

    embedder: Embedder | None = None
    downloads: Downloads | None = None

    def close(self) -> None:
        embedder, downloads = self.embedder, self.downloads
        self.embedder = self.downloads = None
        try:
            if downloads is not None:
                downloads.close()
        finally:
            if embedder is not None:
                embedder.close()


def _is_table(data: Any) -> bool:
    """Tell whether it is an Orange table, without importing Orange, which takes 1.8 s."""
    # Another thread may be importing it just now: then there is no table yet.
    table = getattr(sys.modules.get("Orange.data"), "Table", None)
    return table is not None and isinstance(data, table)


def _check_collection(data: Any) -> None:
    """Refuse one image where a collection of them is expected: its parts are no images."""
    dimensions = getattr(data, "ndim", None)
    if (
        not hasattr(data, "__iter__")
        or isinstance(data, (str, bytes, bytearray, memoryview, os.PathLike, dict, set, frozenset))
        or hasattr(data, "getbands")  # a PIL image
        or dimensions in (0, 2, 3)
    ):
        raise InputTypeError(
            "Images are given as a list or a one-dimensional array (of paths, addresses, bytes, "
            "PIL images or uint8 arrays), or as an Orange table; "
            f"not as {type(data).__name__}. A single image goes into a list: [image]."
        )
