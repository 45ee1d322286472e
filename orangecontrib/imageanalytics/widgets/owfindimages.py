"""The widget Find Images by Words: pictures that fit what one types, and which words fit best."""

from __future__ import annotations

from typing import Any

from AnyQt.QtCore import QSize, QTimer
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import models, tables
from orangecontrib.imageanalytics.models import Model, Section, downloaded
from orangecontrib.imageanalytics.widgets import images_loader, words_settings
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.embedding_run import fetch
from orangecontrib.imageanalytics.widgets.images_view import ImagesView, Mark
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, agree, ask
from orangecontrib.imageanalytics.widgets.words_panel import MATCHES, TEMPLATES, Panel
from orangecontrib.imageanalytics.widgets.words_run import (
    MOST_QUERIES,
    Answer,
    Match,
    Question,
    Request,
    Seen,
    Sent,
    Words,
    answer,
    distinct,
    look,
    queries_of,
)

#: The model that knows pictures and words.
MODEL = "clip-vit-b-32"
#: Milliseconds after the last key until the words are looked for.
_PATIENCE = 200


class OWFindImages(Background):
    """Sorts images by how they fit words, and names the word that fits each best."""

    name = "Find Images by Words"
    description = "Find images that fit what you type, and label images with the words that fit."
    keywords = "find images by words, search, query, text, clip, zero-shot, classification, label"
    icon = "icons/FindImages.svg"
    category = "Image Analytics"
    priority = 180

    class Inputs:
        data = Input("Data", Table, default=True)
        queries = Input("Queries", Table)

    class Outputs:
        matching = Output("Matching Images", Table, default=True)
        data = Output("Data", Table)

    class Error(Background.Error):
        no_image_attribute = Msg(
            "The data has no column of images: it must be a text or categorical meta attribute."
        )
        no_texts = Msg("The queries have no text or categorical column.")
        unexpected = Msg("Looking for words failed unexpectedly: {}")

    class Warning(Background.Warning):
        download = Msg("{} has to be downloaded first.")
        skipped = Msg("{} could not be read, and fit nothing.")
        web = Msg(NOT_FETCHED)
        too_many = Msg(f"Only the first {MOST_QUERIES} queries are answered.")
        no_place = Msg("The wording has no {{}} for the query to stand in; it is left out.")

    class Information(Background.Information):
        english = Msg("CLIP learned from English captions; of other languages it knows little.")

    nothing = "Nothing was looked for."

    image_attribute: str | None = Setting(None)
    typed: str = Setting("")
    template: str = Setting(TEMPLATES[0])
    match: str = Setting(str(Match.TOP))
    top: int = Setting(20)
    threshold: float = Setting(0.25)
    sort_by: str = Setting("", schema_only=True)
    auto_commit: bool = Setting(True)
    pictures_folder: str | None = Setting(None, schema_only=True)

    def __init__(self) -> None:
        super().__init__()
        self.data: Table | None = None
        self.given: tuple[str, ...] | None = None  # queries that come from another widget
        self.seen: Seen | None = None
        self.answer: Answer | None = None
        self.sent: Sent | None = None
        self.embed_words = Words()
        self.panel = Panel(self)
        self.view = ImagesView()
        self.view.set_look(captions=True, size=140)
        self.view.set_marks(self._mark)
        self.mainArea.layout().addWidget(self.view)
        gui.auto_commit(self.buttonsArea, self, "auto_commit", "&Send")
        self._waiting = QTimer(self, singleShot=True, interval=_PATIENCE)
        self._waiting.timeout.connect(self._go_on)
        self._show_settings()
        self._connect()
        self._show_model()
        self._show_data()

    def _show_settings(self) -> None:
        panel = self.panel
        panel.words.setPlainText(self.typed)
        panel.template.setEditText(self.template)
        panel.top.setValue(self.top)
        panel.threshold.setValue(self.threshold)
        panel.show_match(self.match_used)
        panel.show_queries(self.queries_used, self.sort_by)

    def _connect(self) -> None:
        panel = self.panel
        panel.image.activated.connect(self._image_chosen)
        panel.pictures.changed.connect(self._begin)
        panel.words.textChanged.connect(self._words_typed)
        panel.template.editTextChanged.connect(self._template_typed)
        panel.match.activated.connect(self._match_chosen)
        panel.top.valueChanged.connect(self._top_chosen)
        panel.threshold.valueChanged.connect(self._threshold_chosen)
        panel.sort_by.activated.connect(self._sorting_chosen)
        panel.fetch.clicked.connect(self._agree_to_fetch)
        panel.download.wanted.connect(self._download)
        panel.download.unwanted.connect(self._remove)

    # ---- what goes in

    @Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None) -> None:
        """Take a table of images; a run on another one ends."""
        self.data = data
        self._show_data()
        self._begin()

    @Inputs.queries
    @check_sql_input
    def set_queries(self, queries: Table | None) -> None:
        """Take queries from another widget, in the place of those that are typed."""
        self.given = None if queries is None else queries_of(queries)
        self.Error.no_texts(shown=queries is not None and len(queries) > 0 and not self.given)
        blocked = self.panel.words.blockSignals(True)
        self.panel.show_given(self.given)
        if self.given is None:
            self.panel.words.setPlainText(self.typed)
        self.panel.words.blockSignals(blocked)
        self._queries_changed()

    @property
    def image_used(self) -> str | None:
        """The column of images: the saved one if it is there, else the likeliest one."""
        return tables.image_column(self.data, self.image_attribute)

    @property
    def queries_used(self) -> tuple[str, ...]:
        """The words, each once."""
        queries = distinct(self.typed.splitlines()) if self.given is None else self.given
        return queries[:MOST_QUERIES]

    @property
    def match_used(self) -> Match:
        """Which images match."""
        return Match(self.match) if self.match in list(Match) else Match.TOP

    @property
    def model(self) -> Model:
        """The model, with its file if it is on this computer."""
        return models.get(MODEL)

    def _show_data(self) -> None:
        columns = [] if self.data is None else tables.image_columns(self.data)
        self.Error.no_image_attribute(shown=self.data is not None and not columns)
        self.panel.show_columns(columns, self.image_used)
        self.panel.pictures.show_data(self.data, self.image_used)

    def _show_model(self) -> None:
        self.panel.download.show_model(self.model)

    # ---- what the user chooses

    def _image_chosen(self) -> None:
        self.image_attribute = self.panel.image.currentData()
        self.panel.pictures.show_data(self.data, self.image_used)
        self._begin()

    def _words_typed(self) -> None:
        if self.given is None:
            self.typed = self.panel.words.toPlainText()
            self._queries_changed()

    def _queries_changed(self) -> None:
        queries = self.queries_used
        self.panel.show_queries(queries, self.sort_by)
        letters = [letter for letter in "".join(queries) if letter.isalpha()]
        self.Information.english(shown=any(not letter.isascii() for letter in letters))
        count = len(self.given or ())
        self.Warning.too_many(shown=count > MOST_QUERIES)
        self._waiting.start()

    def _template_typed(self, template: str) -> None:
        self.template = template
        self.Warning.no_place(shown="{}" not in template)
        self._waiting.start()

    def _match_chosen(self) -> None:
        self.match = self.panel.match.currentData()
        self.panel.show_match(self.match_used)
        self._waiting.start(0)

    def _top_chosen(self, top: int) -> None:
        self.top = top
        self._waiting.start()

    def _threshold_chosen(self, threshold: float) -> None:
        self.threshold = threshold
        self._waiting.start()

    def _sorting_chosen(self) -> None:
        self.sort_by = self.panel.sort_by.currentData()
        self._waiting.start(0)

    def _agree_to_fetch(self) -> None:
        assert self.seen is not None
        agree(self.seen.unasked)
        images_loader.look_for_consent()
        self._begin()

    def _download(self) -> None:
        self.cancel()
        self.panel.download.show_running()
        self.start(fetch, MODEL)

    def _remove(self) -> None:
        self.cancel()
        self.embed_words.close()
        try:
            downloaded.remove(self.model)
        except OSError as error:
            self.Error.failed(error)
        self._show_model()
        self._begin()

    # ---- running

    def _begin(self) -> None:
        """Look at other images."""
        self.cancel()
        self.seen = self.answer = self.sent = None
        self.view.set_images([])
        for message in (self.Warning.skipped, self.Warning.web, self.Warning.download):
            message.clear()
        self.panel.fetch.hide()
        self.commit.now()
        self._go_on()

    def _go_on(self) -> None:
        """Do what comes next: look at the images, or answer."""
        self._waiting.stop()
        model, image = self.model, self.image_used
        if not self.data or image is None:
            self.tell("No images." if self.data else "No data.")
            return
        if model.section is Section.TO_DOWNLOAD:
            self.Warning.download(model.title)
            self.tell("Press Download.")
        elif self.seen is None:
            if not self.is_running:
                self.start(look, Request(self.data, image, self.panel.pictures.folder, MODEL))
        elif self.queries_used:
            self.start(answer, self.seen, self._question(), self.embed_words)
        else:
            self.cancel()
            self.answer = self.sent = None
            self.view.set_order(None)
            self.tell("Type what you look for.")
            self.commit.now()

    def _question(self) -> Question:
        return Question(
            self.queries_used,
            self.template,
            self.match_used,
            self.top,
            self.threshold,
            self.sort_by,
        )

    def on_partial_result(self, result: Any) -> None:
        """Show an answer before its tables are there, and a model as it arrives."""
        if isinstance(result, Answer):
            self._show_answer(result)
        elif isinstance(result, Model):
            self.embed_words.close()
            self._show_model()
        else:
            self.panel.download.show_progress(result)

    def on_done(self, result: Seen | Sent | Model) -> None:
        """Go on to the answer, or send it."""
        if isinstance(result, Seen):
            self.seen = result
            self._show_seen(result)
            self._waiting.start(0)  # a run is not begun from here
        elif isinstance(result, Sent):
            self.sent = result
            self.commit.now()
        else:
            self.Warning.download.clear()
            self._waiting.start(0)

    def on_cancelled(self) -> None:
        """Show the model as it is: its download may have been cancelled."""
        self._show_model()

    def explain(self, error: Exception) -> bool:
        """Show the model as it is: its download may have failed."""
        self._show_model()
        return False

    # ---- what is shown

    def _show_seen(self, seen: Seen) -> None:
        self.view.set_images(seen.references, seen.titles)
        count = len(seen.skipped)
        told = "1 image" if count == 1 else f"{count} images"
        self.Warning.skipped(told, shown=count > 0 and not seen.unasked)
        ask(self.Warning.web, self.panel.fetch, seen.unasked)

    def _show_answer(self, found: Answer) -> None:
        self.answer = found
        self.view.set_order(found.order)
        self.view.verticalScrollBar().setValue(0)
        self.view.refresh()
        count, total = int(found.matching.sum()), len(found.matching)
        self.tell(f"{count} of {total} images match.")

    def _mark(self, row: int) -> Mark:
        """Say how an image fits, and which query fits best."""
        found = self.answer
        if found is None or row >= len(found.best):
            return Mark()
        best = int(found.best[row])
        if best < 0:
            return Mark(dimmed=True)
        queries = found.question.queries
        shown = best
        if found.question.sort_by in queries:
            shown = queries.index(found.question.sort_by)
        similarity = f"{found.similarities[row, shown]:.3f}"
        dimmed = not found.matching[row]
        if len(queries) == 1:
            return Mark(similarity, dimmed=dimmed)
        probability = f"{found.probabilities[row, best]:.0%}"
        return Mark(f"{probability}, {similarity}", badge=queries[best], dimmed=dimmed)

    # ---- what comes out

    @gui.deferred
    def commit(self) -> None:
        """Send the tables of the answer."""
        self.Outputs.matching.send(self.sent and self.sent.matching)
        self.Outputs.data.send(self.sent and self.sent.data)

    # ---- the rest of a widget's life

    def onDeleteWidget(self) -> None:
        """End what runs, and let go of the processes."""
        self._waiting.stop()
        self.view.close_images()
        self.embed_words.close()
        super().onDeleteWidget()

    def sizeHint(self) -> QSize:
        """Room for some rows of images."""
        return QSize(1000, 740)

    def send_report(self) -> None:
        """Say what was looked for, and what was found."""
        self.report_items(
            "Words",
            [
                ("Image attribute", self.image_used or "none"),
                ("Queries", ", ".join(self.queries_used) or "none"),
                ("Wording", self.template),
                ("Match", MATCHES[self.match_used]),
                ("Result", self.told),
            ],
        )

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take nothing that is broken."""
        words_settings.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWFindImages).run()
