"""EmbedImages: a preprocessor of learners, which embeds the pictures of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Orange.preprocess.preprocess import Preprocess

from orangecontrib.imageanalytics import widened_tables
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

if TYPE_CHECKING:
    from Orange.data import Domain, Table


class EmbedImages(Preprocess):
    """Embeds the pictures of a table, as a preprocessor of a learner.

    The learner is then trained and tested on raw tables of pictures. Each picture is embedded
    once; further folds and calls find it in the user's cache.

    Parameters
    ----------
    model : str
        Id of a model; see `ImageEmbedder`.
    col : str
        Name of the column of pictures.
    server_url : str, optional
        Address of the embedding server, for models that run there; see `ImageEmbedder`.

    Raises
    ------
    UnknownModelError
        A ValueError: there is no such model.

    Examples
    --------
    >>> from Orange.classification import LogisticRegressionLearner
    >>> from orangecontrib.imageanalytics.embed_images import EmbedImages
    >>> from orangecontrib.imageanalytics.import_images import ImportImages
    >>> images, _ = ImportImages()("examples/photos")
    >>> learner = LogisticRegressionLearner(preprocessors=[EmbedImages("squeezenet")])
    >>> model = learner(images[1:])
    >>> images.domain.class_var.values[int(model(images[:1])[0])]
    'animal'
    """

    def __init__(
        self, model: str = "squeezenet", col: str = "image", server_url: str | None = None
    ) -> None:
        self.model = model
        self.col = col
        self.server_url = server_url
        self._embedding = ImageEmbedder(model, server_url).embedding(col)

    def __call__(self, data: Table) -> Table:
        """Give the table with the columns of the embedding behind its others.

        Raises
        ------
        ComputedColumnError
            A ValueError: see `Embedding`.
        """
        return data.transform(self.domain(data.domain))

    def domain(self, domain: Domain) -> Domain:
        """Give a domain with the columns of the embedding behind its others."""
        return widened_tables.with_columns(domain, self._embedding.dimension, how=self._embedding)
