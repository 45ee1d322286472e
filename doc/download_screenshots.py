"""Make the screenshots of Image Embedding that downloads a model, from a hub on loopback.

    python -m doc.download_screenshots

writes doc/images/download-{menu,question,progress,done,no-network}-{light,dark}.png. The hub has
as many bytes as the real one, all of them zero, and is stopped before they are all there; what is
downloaded in the last picture is a stand-in.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from AnyQt.QtCore import QSettings
from AnyQt.QtGui import QColor, QPalette, QPixmap
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from orangewidget.tests.base import DummySignalManager

from doc.screenshots import HERE, PHOTOS, dark_palette, image_table, wait
from orangecontrib.imageanalytics.models import default_folder
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
from tests.embedding_servers import write_stand_in
from tests.hub import COMMIT, Hub
from tests.web_server import Exchange

MODEL = "vgg16-local"


def large(exchange: Exchange) -> None:
    """Send zeros at some 60 MB a second, as many as the real file has bytes."""
    assert MODELS[MODEL].download is not None
    size = MODELS[MODEL].download.size
    headers = {"ETag": '"zeros"', "X-Linked-Size": str(size), "X-Repo-Commit": COMMIT}
    exchange.send(200, {**headers, "Content-Length": str(size)})
    if exchange.command == "HEAD":
        return
    for _ in range(size // 1_000_000):
        exchange.wfile.write(bytes(1_000_000))
        if exchange.closing.wait(1 / 60):
            break
    exchange.close_connection = True


def make() -> OWImageEmbedding:
    """Make the widget, with photos, as a workflow opens it."""
    widget = OWImageEmbedding.__new__(
        OWImageEmbedding,
        signal_manager=DummySignalManager(),
        stored_settings={"model": MODEL, "__version__": 3},
    )
    widget.__init__()  # type: ignore[misc]
    widget.show()
    widget.set_images(image_table([str(photo) for photo in PHOTOS]))
    return widget


def take(theme: str) -> None:
    """Go the whole way of a download, and take a picture now and then."""

    def save(name: str, picture: QPixmap) -> None:
        picture.save(str(HERE / "images" / f"download-{name}-{theme}.png"))

    widget = make()
    box = widget.panel.download
    QTest.qWait(400)
    save("question", widget.grab())
    menu = widget.panel.model
    menu.showPopup()
    QTest.qWait(300)
    save("menu", menu.view().window().grab())
    menu.hidePopup()
    os.environ["HF_ENDPOINT"] = "http://localhost:9"  # where nobody listens
    box.fetch.click()
    wait(lambda: widget.task is None)
    QTest.qWait(400)
    save("no-network", widget.grab())
    with Hub() as hub:
        source = MODELS[MODEL].download.products[0].sources["main"]
        hub.on(f"/{source.repository}/resolve/{source.revision}/{source.path}", large)
        os.environ["HF_ENDPOINT"] = hub.url()
        box.fetch.click()
        wait(lambda: box.bar.value() > 400)
        save("progress", widget.grab())
        widget.cancel_button.click()
    del os.environ["HF_ENDPOINT"]
    folder = default_folder() / "downloaded"
    write_stand_in(folder / f"{MODEL}.onnx")
    widget.panel.find_models()
    widget._show_models()
    widget.apply()
    wait(lambda: widget.task is None)
    QTest.qWait(400)
    save("done", widget.grab())
    box.remove.click()
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def main() -> None:
    """Make all screenshots."""
    os.environ.pop("HF_ENDPOINT", None)
    application = QApplication([])
    application.setStyle("Fusion")
    light = QPalette(QColor(240, 240, 240))
    for theme, palette in (("light", light), ("dark", dark_palette())):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for variable in ("ORANGE_IMAGE_CACHE", "ORANGE_IMAGE_MODELS", "HF_HOME"):
                os.environ[variable] = str(Path(folder, variable))
            for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
                QSettings.setPath(QSettings.Format.IniFormat, scope, folder)
            application.setPalette(palette)
            take(theme)


if __name__ == "__main__":
    main()
