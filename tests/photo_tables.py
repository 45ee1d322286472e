"""Tables of photos with something in every part, and what became of the photos."""

import numpy as np
import scipy.sparse as sp
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table

from orangecontrib.imageanalytics.outcome import Embedded, Reason, Skipped

DAMAGED = Skipped(Reason.DAMAGED, "cut off: a.png")


def text_column(values, name="image", **attributes):
    variable = StringVariable(name)
    variable.attributes.update(attributes)
    metas = np.array(values, dtype=object).reshape(-1, 1)
    return Table.from_numpy(
        Domain([], None, [variable]), np.empty((len(metas), 0)), None, metas=metas
    )


def photos(n=6, sparse=False):
    """A table with something in every part: sparse or dense X, class, metas, weights."""
    image = StringVariable("image")
    image.attributes.update(type="image", origin="/photos")
    domain = Domain(
        [ContinuousVariable("age", sparse=sparse), ContinuousVariable("price", sparse=sparse)],
        DiscreteVariable("kind", values=("cat", "dog")),
        [image, DiscreteVariable("place", values=("here", "there")), ContinuousVariable("size")],
    )
    X = np.arange(2.0 * n).reshape(n, 2)
    table = Table.from_numpy(
        domain,
        sp.csr_matrix(X) if sparse else X,
        np.arange(n) % 2.0,
        np.array(
            [[f"{row}.png", row % 2.0, 100.0 * row] for row in range(n)], dtype=object
        ).reshape(n, 3),
        W=np.linspace(1, 2, n),
    )
    table.name = "photos"
    table.attributes = {"source": "a camera"}
    return table


def embedded(n, dimension=3):
    return [Embedded(np.arange(dimension, dtype="f4") + 10 * row) for row in range(n)]


def names(table):
    return [variable.name for variable in table.domain.attributes]
