"""The widget Duplicate Images: which pictures are the same, or nearly, and which one is kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

from AnyQt.QtCore import QSize, Qt, QTimer
from AnyQt.QtWidgets import QSplitter
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.widgets import duplicates_settings, images_loader
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.duplicates_panel import KEEPS, MODES, Panel
from orangecontrib.imageanalytics.widgets.duplicates_run import (
    Found,
    Groups,
    Keep,
    Mode,
    Request,
    arrange,
    find,
)
from orangecontrib.imageanalytics.widgets.group_details import (
    GroupDetails,
    pixels_text,
    size_text,
)
from orangecontrib.imageanalytics.widgets.images_layout import Sections
from orangecontrib.imageanalytics.widgets.images_view import ImagesView, Mark
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, agree, ask

#: Distances to begin with: of near copies, where none of 265 other pictures is taken for one (see
#: `similarity.fingerprint`); of embeddings, a guess that the slider is there for.
NEAR, ALIKE = 0.012, 0.1
#: Milliseconds after the slider's last move until groups are made.
_PATIENCE = 150
#: Pictures whose choice by hand is kept.
_BY_HAND = 1000


class OWDuplicateImages(Background):
    """Finds pictures that are the same, or nearly, and says which one of each group is kept."""

    name = "Duplicate Images"
    description = "Find images that are the same, or nearly, and choose which of them to keep."
    keywords = "duplicate images, duplicates, copies, same, near duplicates, similar, unique, image"
    icon = "icons/DuplicateImages.svg"
    category = "Image Analytics"
    priority = 170

    class Inputs:
        data = Input("Data", Table)

    class Outputs:
        unique = Output("Unique Images", Table, default=True)
        duplicates = Output("Duplicates", Table)
        data = Output("Data", Table)

    class Error(Background.Error):
        no_image_attribute = Msg(
            "The data has no column of images: it must be a text or categorical meta attribute."
        )
        unexpected = Msg("Looking for duplicates failed unexpectedly: {}")

    class Warning(Background.Warning):
        skipped = Msg("{}: they are in no group, and stay among the unique images.")
        no_embedding = Msg("The data has no embedding; near copies are looked for instead.")
        web = Msg(NOT_FETCHED)
        reach = Msg("So many images are alike that distances are known up to {} only.")

    nothing = "No duplicates were looked for."

    image_attribute: str | None = Setting(None)
    mode: str = Setting(str(Mode.NEAR))
    near_distance: float = Setting(NEAR)
    alike_distance: float = Setting(ALIKE)
    keep: str = Setting(str(Keep.LARGEST))
    kept_by_hand: list[str] = Setting([], schema_only=True)  # references
    auto_commit: bool = Setting(True)
    pictures_folder: str | None = Setting(None, schema_only=True)

    def __init__(self) -> None:
        super().__init__()
        self.data: Table | None = None
        self.found: Found | None = None
        self.groups: Groups | None = None
        self._embedding = ""  # the title of the data's, if it has one
        self.panel = Panel(self)
        self.view = ImagesView()
        self.view.set_look(captions=True, size=120)
        self.view.set_marks(self._mark)
        self.details = GroupDetails()
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.view)
        split.addWidget(self.details)
        split.setStretchFactor(0, 1)
        split.setSizes([420, 140])
        self.mainArea.layout().addWidget(split)
        gui.auto_commit(self.buttonsArea, self, "auto_commit", "&Send")
        self._waiting = QTimer(self, singleShot=True, interval=_PATIENCE)
        self._waiting.timeout.connect(self._arrange)
        self._connect()
        self._show_data()

    def _connect(self) -> None:
        panel = self.panel
        panel.image.activated.connect(self._image_chosen)
        panel.pictures.changed.connect(self._begin)
        panel.mode.activated.connect(self._mode_chosen)
        panel.distance.changed.connect(self._distance_chosen)
        panel.keep.activated.connect(self._keep_chosen)
        panel.keep_these.clicked.connect(self._keep_selected)
        panel.forget.clicked.connect(self._forget)
        panel.fetch.clicked.connect(self._agree_to_fetch)
        self.view.selected.connect(self._selection_changed)
        self.details.chosen.connect(lambda row: self._keep_rows([row]))

    # ---- what goes in

    @Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None) -> None:
        """Take a table; a run on another one ends."""
        self.data = data
        self._show_data()
        self._begin()

    @property
    def image_used(self) -> str | None:
        """The column of images: the saved one if it is there, else the likeliest one."""
        return tables.image_column(self.data, self.image_attribute)

    @property
    def mode_used(self) -> Mode:
        """What is looked for: by an embedding only if there is one."""
        mode = Mode(self.mode) if self.mode in list(Mode) else Mode.NEAR
        return Mode.NEAR if mode is Mode.ALIKE and not self._embedding else mode

    @property
    def keep_used(self) -> Keep:
        """Which one of a group is kept."""
        return Keep(self.keep) if self.keep in list(Keep) else Keep.LARGEST

    @property
    def distance_used(self) -> float:
        """How far apart two of a group may be."""
        if self.mode_used is Mode.EXACT:
            return 0.0
        return self.alike_distance if self.mode_used is Mode.ALIKE else self.near_distance

    def _show_data(self) -> None:
        embeddings = [] if self.data is None else tables.embeddings(self.data)
        self._embedding = embeddings[-1].title if embeddings else ""
        columns = [] if self.data is None else tables.image_columns(self.data)
        self.Error.no_image_attribute(shown=self.data is not None and not columns)
        self.panel.show_columns(columns, self.image_used)
        self.panel.pictures.show_data(self.data, self.image_used)
        self._show_mode()
        self.panel.show_keep(self.keep_used)

    def _show_mode(self) -> None:
        self.panel.show_mode(self.mode_used, embedding=self._embedding)
        wants_embedding = self.data is not None and self.mode == Mode.ALIKE
        self.Warning.no_embedding(shown=wants_embedding and not self._embedding)

    # ---- what the user chooses

    def _image_chosen(self) -> None:
        self.image_attribute = self.panel.image.currentData()
        self.panel.pictures.show_data(self.data, self.image_used)
        self._begin()

    def _mode_chosen(self) -> None:
        self.mode = self.panel.mode.currentData()
        self._show_mode()
        if self.found is not None and self.found.request.alike == (self.mode_used is Mode.ALIKE):
            self._show_counts()
            self._arrange()
        else:
            self._begin()

    def _distance_chosen(self, distance: float) -> None:
        if self.mode_used is Mode.ALIKE:
            self.alike_distance = distance
        else:
            self.near_distance = distance
        self._waiting.start()

    def _keep_chosen(self) -> None:
        self.keep = self.panel.keep.currentData()
        self._arrange()

    def _keep_selected(self) -> None:
        self._keep_rows(self.view.selected_rows().tolist())

    def _keep_rows(self, rows: list[int]) -> None:
        """Keep these, and no others that were chosen by hand in their groups."""
        if self.found is None or self.groups is None:
            return
        references, labels = self.found.references, self.groups.labels
        touched = {int(labels[row]) for row in rows} - {-1}
        chosen = set(self.kept_by_hand)
        for row in self.groups.order.tolist():
            if int(labels[row]) in touched:
                chosen.discard(references[row] or "")
        chosen |= {references[row] or "" for row in rows} - {""}
        self.kept_by_hand = sorted(chosen)[:_BY_HAND]
        self._arrange()

    def _forget(self) -> None:
        self.kept_by_hand = []
        self._arrange()

    def _agree_to_fetch(self) -> None:
        assert self.found is not None
        agree(self.found.unasked)
        images_loader.look_for_consent()
        self._begin()

    # ---- running

    def _begin(self) -> None:
        """Look through the pictures anew."""
        self.cancel()
        self._waiting.stop()
        self.found = self.groups = None
        self._show_groups()
        self.panel.distance.set_counts(1.0, None)
        for message in (self.Warning.skipped, self.Warning.web, self.Warning.reach):
            message.clear()
        self.panel.fetch.hide()
        image = self.image_used
        self.commit.now()
        if not self.data or image is None:
            self.tell("No data." if not self.data else "No images.")
            return
        alike = self.mode_used is Mode.ALIKE
        self.start(find, Request(self.data, image, self.panel.pictures.folder, alike))

    def _arrange(self) -> None:
        """Make groups at the distance that is chosen."""
        self._waiting.stop()
        if self.found is None:
            return
        chosen = frozenset(self.kept_by_hand)
        self.start(arrange, self.found, self.distance_used, self.keep_used, chosen)

    def on_done(self, result: Found | Groups) -> None:
        """Go on to the groups, or show them."""
        if isinstance(result, Found):
            self.found = result
            self._show_found()
            self._waiting.start(0)  # a run is not begun from here
        else:
            self.groups = result
            self._show_groups()
            self.commit.now()

    def _show_found(self) -> None:
        found = self.found
        assert found is not None
        reasons = Counter(str(skip.reason) for skip in found.skipped.values())
        told = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
        self.Warning.skipped(f"Not read: {told}", shown=bool(reasons) and not found.unasked)
        ask(self.Warning.web, self.panel.fetch, found.unasked)
        self.view.set_images(found.references, found.titles, [])
        self._show_counts()

    def _show_counts(self) -> None:
        if self.found is None:
            return
        tree = self.found.tree
        self.panel.distance.set_counts(tree.reach, self.found.counts)
        self.panel.distance.set_distance(min(self.distance_used, tree.reach))
        is_less = self.distance_used > tree.reach
        self.Warning.reach(f"{tree.reach:.4f}", shown=is_less)

    # ---- what is shown

    def _show_groups(self) -> None:
        groups = self.groups
        self.details.show_group(None, None, -1)
        self.panel.forget.setEnabled(bool(self.kept_by_hand))
        if groups is None:
            self.view.set_images([])
            return
        self.view.set_arrangement(Sections(groups.sizes, groups.headings))
        self.view.set_order(groups.order)
        self._selection_changed()
        count, members = len(groups.sizes), len(groups.order)
        if count == 0:
            self.tell("No duplicates.")
        else:
            self.tell(
                f"{members} images in {count} group{'' if count == 1 else 's'}; "
                f"{members - count} could go, {int(groups.kept.sum())} stay. No file is touched."
            )

    def _mark(self, row: int) -> Mark:
        """Say in a line what is known of a picture, and whether it is kept."""
        if self.found is None or self.groups is None:
            return Mark()
        facts = self.found.facts
        is_kept = bool(self.groups.kept[row])
        frame = self.palette().color(self.palette().ColorRole.Highlight) if is_kept else None
        known = pixels_text(facts, row), size_text(int(facts.sizes[row]))
        caption = ", ".join(filter(None, known))
        return Mark(caption, frame, "kept" if is_kept else "", dimmed=False)

    def _selection_changed(self) -> None:
        rows = self.view.selected_rows()
        label = -1
        if self.groups is not None and len(self.groups.order):
            row = int(rows[0]) if len(rows) else int(self.groups.order[0])
            label = int(self.groups.labels[row])
        self.details.show_group(self.found, self.groups, label)
        self.panel.keep_these.setEnabled(len(rows) > 0)

    # ---- what comes out

    @gui.deferred
    def commit(self) -> None:
        """Send the tables of the groups."""
        groups = self.groups
        self.Outputs.unique.send(groups and groups.unique)
        self.Outputs.duplicates.send(groups and groups.duplicates)
        self.Outputs.data.send(groups and groups.data)

    # ---- the rest of a widget's life

    def onDeleteWidget(self) -> None:
        """End what runs, and let go of the processes."""
        self._waiting.stop()
        self.view.close_images()
        super().onDeleteWidget()

    def sizeHint(self) -> QSize:
        """Room for some groups."""
        return QSize(1000, 700)

    def send_report(self) -> None:
        """Say what was looked for, what was found, and what is kept."""
        items: list[tuple[str, Any]] = [
            ("Image attribute", self.image_used or "none"),
            ("Find", MODES[self.mode_used]),
        ]
        if self.mode_used is not Mode.EXACT:
            items.append(("Distance up to", f"{self.distance_used:.4f}"))
        items += [("Kept", KEEPS[self.keep_used]), ("Result", self.told)]
        self.report_items("Duplicates", items)

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take nothing that is broken."""
        duplicates_settings.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWDuplicateImages).run()
