"""Make the screenshots of Duplicate Images and Find Images by Words, from the real widgets.

    QT_QPA_PLATFORM=offscreen python doc/find_screenshots.py

writes doc/images/{duplicates,find}-{light,dark}.png. The user, cache and files are made for the
occasion. CLIP's weights are not at hand: the words come from the tests' tiny CLIP, and the photos
have vectors that are made up to fit their names.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from AnyQt.QtCore import QSettings
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QWidget
from Orange.data import ContinuousVariable, Domain, Table
from orangewidget.tests.base import DummySignalManager
from screenshots import HERE, PHOTOS, dark_palette, image_table, numbered, wait

sys.path.insert(0, str(HERE.parent))

from orangecontrib.imageanalytics.models import default_folder
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.models.downloaded import downloaded_files
from orangecontrib.imageanalytics.similarity.words import unit
from orangecontrib.imageanalytics.text_embedder import TextEmbedder
from orangecontrib.imageanalytics.widgets.owduplicateimages import OWDuplicateImages
from orangecontrib.imageanalytics.widgets.owfindimages import MODEL, OWFindImages
from tests.clip import content_of
from tests.copies import write_copies

_QUERIES = ("lemon", "zebra", "strawberry")


def made(kind: type[QWidget], width: int, height: int) -> QWidget:
    """Make a widget and show it."""
    widget = kind.__new__(kind, signal_manager=DummySignalManager())
    widget.__init__()
    widget.resize(width, height)
    widget.show()
    return widget


def finish(widget: QWidget) -> None:
    """Wait until there is nothing to do, and the pictures are there."""
    wait(lambda: widget.task is None and not widget._waiting.isActive())
    QTest.qWait(300)
    wait(lambda: widget.view.loader.is_idle)
    QTest.qWait(400)  # for the layout, and icons that fade in


def close(widget: QWidget) -> None:
    """End a widget."""
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def duplicates(theme: str, folder: Path) -> None:
    """Copies of three photos among the others."""
    chosen = [photo for photo in PHOTOS if photo.stem in ("lemon", "zebra", "strawberry")]
    paths = [str(photo) for photo in PHOTOS if photo not in chosen]
    for photo in chosen:
        paths += write_copies(photo, folder / photo.stem).values()
    widget = made(OWDuplicateImages, 1000, 720)
    widget.set_data(image_table(paths))
    finish(widget)
    widget.view.setFocus()
    widget.view.select_rows([int(widget.groups.order[1])])
    QTest.qWait(300)
    panel = widget.panel
    parts = panel.mode, panel.distance.slider, panel.keep
    numbered(widget, parts).save(str(HERE / "images" / f"duplicates-{theme}.png"))
    close(widget)


def find(theme: str) -> None:
    """Three queries."""
    widget = made(OWFindImages, 1000, 760)
    widget.panel.words.setPlainText("\n".join(_QUERIES))
    widget.panel.top.setValue(2)
    widget.set_data(_fitting())
    finish(widget)
    panel = widget.panel
    parts = panel.words, panel.template, panel.match, panel.sort_by
    numbered(widget, parts).save(str(HERE / "images" / f"find-{theme}.png"))
    close(widget)


def _fitting() -> Table:
    """The photos, with vectors that are as similar to the queries as CLIP's may be."""
    with TextEmbedder(MODEL) as words:
        meant = unit(words([f"a photo of a {query}" for query in _QUERIES])).astype(float)
    chance = np.random.default_rng(0)
    wanted = chance.normal(0.19, 0.01, (len(PHOTOS), len(_QUERIES)))
    for row, photo in enumerate(PHOTOS):
        if photo.stem in _QUERIES:
            wanted[row, _QUERIES.index(photo.stem)] = 0.29
    vectors = wanted @ np.linalg.pinv(meant).T
    others = chance.normal(size=vectors.shape)
    others -= others @ np.linalg.pinv(meant) @ meant
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    rest = 1 - np.square(vectors).sum(axis=1, keepdims=True)
    assert (rest > 0).all()
    columns = [ContinuousVariable(f"n{index}") for index in range(meant.shape[1])]
    for column in columns:
        column.attributes.update(embedder=f"{MODEL}: CLIP ViT-B/32", hidden=True)
    images = image_table([str(photo) for photo in PHOTOS])
    domain = Domain(columns, metas=images.domain.metas)
    return Table.from_numpy(domain, vectors + np.sqrt(rest) * others, metas=images.metas)


def put_model() -> None:
    """Put the tiny CLIP where a downloaded one would be."""
    files = downloaded_files(MODELS[MODEL], default_folder())
    for path, name in zip(files, ("images.onnx", "texts.onnx", "tokenizer.json"), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(name))


def main() -> None:
    """Make all screenshots."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ORANGE_IMAGE_CACHE"] = str(folder / "cache")
        os.environ["ORANGE_IMAGE_MODELS"] = str(folder / "models")
        put_model()
        for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
            QSettings.setPath(QSettings.Format.IniFormat, scope, name)
        application = QApplication([])
        application.setStyle("Fusion")
        light = QPalette(QColor(240, 240, 240))
        for theme, palette in (("light", light), ("dark", dark_palette())):
            application.setPalette(palette)
            duplicates(theme, folder / "photos")
            find(theme)
        QTest.qWait(300)


if __name__ == "__main__":
    main()
