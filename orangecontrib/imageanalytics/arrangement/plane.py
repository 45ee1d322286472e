"""Vectors to points of a plane, so that alike ones lie close together; the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.outcome import EmbeddingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Is told how much is done, 0 to 1; what it raises ends the work.
Tick = Callable[[float], object]

#: Neighbours that t-SNE looks at, as van der Maaten and Hinton (2008) recommend (5 to 50), and
#: openTSNE's default.
PERPLEXITY = 30.0
#: Principal components that t-SNE works on: van der Maaten and Hinton (2008) reduced to 30,
#: openTSNE's guide to 50.
COMPONENTS = 50
#: Vectors of which fewer make t-SNE meaningless: three neighbours and a perplexity above 1.
FEWEST_FOR_TSNE = 6
#: Above so many, MDS takes minutes: each of its steps looks at all pairs.
MOST_FOR_MDS = 1000

#: Steps of t-SNE with clusters pulled together, and those after (openTSNE's schedule is 250 + 500;
#: the order of the plane hardly changes in the last ones).
_EARLY, _LATE = 200, 300
_EARLY_EXAGGERATION = 12.0
_STEPS_BETWEEN_TICKS = 10
#: Vectors from which on more than one thread is worth its while: for 90 of them, threads that wait
#: for each other on busy cores took 20 s, and one takes 1 s. The result is the same.
_MANY = 1000
#: Vectors from which on interpolation (FIt-SNE) takes less than Barnes and Hut's trees: 500 steps
#: with 2500 of them take 8 s of processor time by either, with 10 000 of them 15 s and 75 s.
_MANY_FOR_FFT = 4000
_SEED = 0
#: Directions beyond those wanted, and rounds, of the search for principal components (Halko et al.
#: recommend 5 to 10, and one or two; scikit-learn takes 10, and 4 to 7).
_MORE, _ROUNDS = 10, 5


class TooManyForMDSError(EmbeddingError, ValueError):
    """There are so many pictures that MDS would take minutes."""


def pca(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Project on the two directions in which the vectors differ most.

    Parameters
    ----------
    vectors : ndarray of shape (N, D)
        Finite numbers.

    Returns
    -------
    ndarray of shape (N, 2), float64
        Zeros where there is no (second) direction.
    """
    return _components(vectors, 2)


def mds(vectors: NDArray[np.floating], tick: Tick = lambda done: None) -> NDArray[np.float64]:
    """Keep all distances as well as a plane allows: metric MDS by SMACOF, from the PCA's start.

    Parameters
    ----------
    vectors : ndarray of shape (N, D)
        Finite numbers; their Euclidean distances are kept. N is at most `MOST_FOR_MDS`.
    tick : callable
        Called between the steps.

    Returns
    -------
    ndarray of shape (N, 2), float64

    Raises
    ------
    TooManyForMDSError
        A ValueError: there are more vectors than that.

    References
    ----------
    De Leeuw, J. (1977). Applications of convex analysis to multidimensional scaling: the Guttman
    transform, iterated until the stress falls by less than a thousandth.
    """
    from scipy.spatial.distance import cdist

    if len(vectors) > MOST_FOR_MDS:
        raise TooManyForMDSError(
            f"MDS is for at most {MOST_FOR_MDS} pictures, and there are {len(vectors)}. Choose "
            "t-SNE or PCA."
        )
    points = pca(vectors)
    wanted = cdist(vectors, vectors)
    count, steps = len(points), 300
    stress = np.inf
    for step in range(steps):
        tick(step / steps)
        have = cdist(points, points)
        before, stress = stress, float(((have - wanted) ** 2).sum())
        if before - stress < 1e-3 * stress:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(have > 0, wanted / have, 0.0)
        points = (ratio.sum(axis=1, keepdims=True) * points - ratio @ points) / count
    tick(1.0)
    return points


def tsne(vectors: NDArray[np.floating], tick: Tick = lambda done: None) -> NDArray[np.float64]:
    """Keep neighbours together: t-SNE by cosine, from the PCA's start.

    Parameters
    ----------
    vectors : ndarray of shape (N, D)
        Finite numbers.
    tick : callable
        Called every ten steps.

    Returns
    -------
    ndarray of shape (N, 2), float64
        That of the PCA, if there are fewer than `FEWEST_FOR_TSNE` vectors, or all are the same.

    References
    ----------
    van der Maaten, L., & Hinton, G. (2008). Visualizing data using t-SNE. JMLR 9. The start and the
    step size: Kobak, D., & Berens, P. (2019). The art of using t-SNE for single-cell
    transcriptomics. Nature Communications 10. From 4000 vectors on: Linderman, G. C., et al.
    (2019). Fast interpolation-based t-SNE for improved visualization of single-cell RNA-seq data.
    Nature Methods 16.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    reduced = _components(directions, COMPONENTS)
    if len(vectors) < FEWEST_FOR_TSNE or not reduced.any():
        return reduced[:, :2]
    return _embedded(reduced, tick)


def to_unit_square(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Stretch points to fill the square from 0 to 1; all in the middle where they do not differ."""
    if len(points) == 0:
        return np.zeros((0, 2))
    low, high = points.min(axis=0), points.max(axis=0)
    span = high - low
    flat = span <= 0
    scaled = (points - low) / np.where(flat, 1, span)
    return np.where(flat, 0.5, scaled).astype(np.float64)


def prepare(method: str) -> None:
    """Import what a method needs, and what the way to the cells does, which takes a while."""
    import scipy.optimize
    import scipy.spatial.distance  # noqa: F401

    if method == "t-SNE":
        import openTSNE  # noqa: F401


def _components(vectors: NDArray[np.floating], number: int) -> NDArray[np.float64]:
    """Give the first principal components, at least two columns of them.

    By Halko, Martinsson and Tropp (2011), Finding structure with randomness, SIAM Review 53,
    algorithms 4.4 and 5.1: scikit-learn has it too, but takes a second to be imported. The sign of
    each is such that its largest number is positive.
    """
    if len(vectors) == 0:
        return np.zeros((0, 2))
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(vectors.dtype)
    known = min(number, *centred.shape)
    components = np.zeros((len(vectors), max(known, 2)))
    if not known or not centred.any():
        return components
    guess = np.random.default_rng(_SEED).standard_normal((centred.shape[1], known + _MORE))
    basis = _orthonormal(centred @ guess.astype(centred.dtype))
    for _ in range(_ROUNDS):
        basis = _orthonormal(centred @ _orthonormal(centred.T @ basis))
    left, values, _ = np.linalg.svd(basis.T @ centred, full_matrices=False)
    found = ((basis @ left) * values)[:, :known]
    largest = np.abs(found).argmax(axis=0)
    signs = np.sign(found[largest, np.arange(found.shape[1])])
    components[:, : found.shape[1]] = found * np.where(signs == 0, 1, signs)
    return components


def _orthonormal(columns: NDArray[np.floating]) -> NDArray[np.floating]:
    """Give an orthonormal basis of the columns' space.

    By SciPy, as NumPy's keeps the interpreter's lock: a window waited 50 ms for it on busy cores.
    """
    from scipy.linalg import qr

    basis: NDArray[np.floating] = qr(columns, mode="economic", check_finite=False)[0]
    return basis


def _embedded(reduced: NDArray[np.float64], tick: Tick) -> NDArray[np.float64]:
    from openTSNE import TSNEEmbedding, affinity, initialization

    jobs = -1 if len(reduced) >= _MANY else 1
    perplexity = min(PERPLEXITY, (len(reduced) - 1) / 3)
    # One thread: scikit-learn's others, joblib's, are not to be had in a process like ours.
    affinities = affinity.PerplexityBasedNN(
        reduced, perplexity, method="exact", n_jobs=1, random_state=_SEED
    )
    start = initialization.rescale(reduced[:, :2])
    way = "fft" if len(reduced) >= _MANY_FOR_FFT else "bh"
    embedding = TSNEEmbedding(
        start, affinities, negative_gradient_method=way, n_jobs=jobs, random_state=_SEED
    )
    done = 0

    def report(iteration: int, error: float, embedding: object) -> None:
        tick((done + iteration) / (_EARLY + _LATE))

    watched = {"callbacks": [report], "callbacks_every_iters": _STEPS_BETWEEN_TICKS}
    for steps, exaggeration in ((_EARLY, _EARLY_EXAGGERATION), (_LATE, 1.0)):
        embedding = embedding.optimize(steps, exaggeration=exaggeration, **watched)
        done += steps
    tick(1.0)
    return np.array(embedding)


#: The ways to lay vectors out on a plane, by the names that people know.
METHODS: dict[str, Callable[[NDArray[np.floating], Tick], NDArray[np.float64]]] = {
    "t-SNE": tsne,
    "MDS": mds,
    "PCA": lambda vectors, tick: pca(vectors),
}

#: Those that take no time.
AT_ONCE = frozenset({"PCA"})
