"""Pictures against words."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import softmax

from orangecontrib.imageanalytics.similarity import Pictures, probabilities, words


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(300, 20))


@pytest.mark.parametrize("at_once", [words._AT_ONCE, 1])
def test_similarities_are_cosines(pictures, at_once, monkeypatch):
    monkeypatch.setattr(words, "_AT_ONCE", at_once)
    texts = pictures[:4] + 0.3
    found = Pictures(pictures).similarities(texts)
    np.testing.assert_allclose(found, 1 - cdist(pictures, texts, "cosine"), atol=1e-6)


def test_probabilities_are_the_softmax_with_the_temperature_of_clip(pictures):
    found = probabilities(Pictures(pictures).similarities(pictures[:3]))
    cosines = 1 - cdist(pictures, pictures[:3], "cosine")
    np.testing.assert_allclose(found, softmax(100 * cosines, axis=1), atol=1e-4)
    assert probabilities(np.empty((5, 0), np.float32)).shape == (5, 0)


def test_a_picture_with_a_missing_number_is_similar_to_nothing_and_zeros_to_all_alike(pictures):
    pictures[3, 5] = np.nan
    pictures[4] = 0
    found = Pictures(pictures).similarities(pictures[:2])
    assert np.isnan(found[3]).all() and (found[4] == 0).all()
    assert np.isnan(probabilities(found)[3]).all()
    assert np.isfinite(np.delete(found, 3, 0)).all()


def test_words_of_another_model_are_refused(pictures):
    with pytest.raises(ValueError, match="not of the same model"):
        Pictures(pictures).similarities(np.ones((1, 7)))
