"""The widget Image Embedding: a table of images in, a table of numbers out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from AnyQt.QtCore import QEvent
from Orange.data import Table
from Orange.widgets.settings import Setting
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.models import (
    DEFAULT,
    Model,
    Section,
    default_folder,
    downloaded,
    hub_host,
)
from orangecontrib.imageanalytics.outcome import (
    EmbeddingConnectionError,
    Reason,
    ServerRefusedError,
)
from orangecontrib.imageanalytics.widgets import migration
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.embedding_panel import Panel
from orangecontrib.imageanalytics.widgets.embedding_report import (
    report_outcome,
    report_settings,
)
from orangecontrib.imageanalytics.widgets.embedding_run import Finished, Request, embed, fetch
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, agree, ask


class OWImageEmbedding(Background):
    """Embeds the images of a table with a pretrained network, here or on a server."""

    name = "Image Embedding"
    description = "Turn images into numbers with a pretrained neural network."
    keywords = "image embedding, image, picture, photo, features, neural network, deep learning"
    icon = "icons/ImageEmbedding.svg"
    category = "Image Analytics"
    # As the public add-on called it at first; its channels had other names, too.
    replaces = ("orangecontrib.imageanalytics.widgets.owimagenetembedding.OWImageNetEmbedding",)
    priority = 150

    class Inputs:
        images = Input("Images", Table, replaces=["Data"])

    class Outputs:
        embeddings = Output("Embeddings", Table, default=True)
        skipped_images = Output("Skipped Images", Table, replaces=["Missing Images"])

    class Error(Background.Error):
        no_image_attribute = Msg(
            "The data has no column of images: it must be a text or categorical meta attribute."
        )
        no_such_model = Msg(
            "The embedder '{0}' is not there. If it is a model of your own, put its file {0}.onnx "
            "into the folder {1}; or choose another embedder."
        )
        bad_address = Msg("{}")
        unreachable = Msg("{}")
        refused = Msg("{}")
        no_memory = Msg("There is not enough memory for the embeddings of so many images.")
        unexpected = Msg("The embedding failed unexpectedly: {}")

    class Warning(Background.Warning):
        no_data = Msg("The data has no rows.")
        no_folder = Msg(
            "It is not known which folder images are in: their names do not say it. Choose it "
            "under 'Pictures in folder'."
        )
        consent = Msg("No image has been sent. Agree to send them, or choose a local embedder.")
        download = Msg("{} has to be downloaded first.")
        skipped = Msg("{}")
        server_lost = Msg("{} (Press Apply.)")
        web = Msg(NOT_FETCHED)

    class Information(Background.Information):
        cancelled = Msg("Cancelled. What was computed is kept: Apply goes on from there.")

    want_main_area = False
    settings_version = 3  # above all that the public add-on has used
    nothing = "Nothing is embedded."

    # The saved choices: what is really used is `attribute_used` and `model_used`.
    attribute: str | None = Setting(None)
    attribute_index: int | None = Setting(None, schema_only=True)
    model: str = Setting(DEFAULT)
    auto_apply: bool = Setting(True)
    depth: int | None = Setting(None)
    pictures_folder: str | None = Setting(None, schema_only=True)  # see `workflow_folders.stored`

    def __init__(self) -> None:
        super().__init__()
        self.data: Table | None = None
        self.finished: Finished | None = None
        self.is_sent = False  # whether the outputs are those of `finished`
        self._is_pending = False  # whether Apply would compute something new
        self._has_just_chosen_a_server = False  # what is sent there first is sent by Apply
        self._wants_model: str | None = None  # the one to download that the user has asked for
        self.panel = Panel(self)
        self.panel.attribute.activated.connect(self._attribute_chosen)
        self.panel.model.activated.connect(self._model_chosen)
        self.panel.pictures.changed.connect(self._folder_changed)
        self.panel.provider_chosen.connect(self._inputs_changed)
        if self.panel.depth.findData(self.depth) < 0:
            self.depth = None
        self.panel.depth.setCurrentIndex(self.panel.depth.findData(self.depth))
        self.panel.depth.activated.connect(self._depth_chosen)
        self.panel.destination.changed.connect(self._destination_changed)
        self.panel.destination.agreed.connect(self._agreed)
        self.panel.download.wanted.connect(self._download)
        self.panel.download.unwanted.connect(self._remove)
        self.panel.instead.clicked.connect(self._use_default_instead)
        self.panel.fetch.clicked.connect(self._agree_to_fetch)
        self.panel.automatically.toggled.connect(self._automatically_toggled)
        self.panel.apply.clicked.connect(self.apply)
        self.panel.automatically.setChecked(self.auto_apply)
        self._show_models()
        self._show_data()

    # ---- what goes in

    @Inputs.images
    @check_sql_input
    def set_images(self, data: Table | None) -> None:
        """Take a table; a run on another one ends."""
        if self.finished is not None and self.finished.request.table is not data:
            self.finished = None
        self.data = data
        self._show_data()
        self._inputs_changed()

    @property
    def attribute_used(self) -> str | None:
        """The column of images: the saved one if it is there, else the likeliest one."""
        return tables.image_column(self.data, self.attribute, self.attribute_index)

    @property
    def model_used(self) -> str | None:
        """The id of the saved model if it is there; no other takes its place by itself."""
        return self.model if self.model in self.panel.models else None

    def _attribute_chosen(self) -> None:
        self.attribute = self.panel.attribute.currentData()
        self.attribute_index = None
        self._show_folder()
        self._inputs_changed()

    def _model_chosen(self) -> None:
        self.model = self.panel.model.currentData()
        self._wants_model = None
        self._has_just_chosen_a_server = not self.panel.models[self.model].is_local
        self._show_model()
        self._inputs_changed()

    def _depth_chosen(self) -> None:
        self.depth = self.panel.depth.currentData()
        self._inputs_changed()

    def _use_default_instead(self) -> None:
        self.model = DEFAULT
        self._show_model()
        self.apply()

    def _show_models(self) -> None:
        self._show_model()

    def _show_model(self) -> None:
        self.panel.show_model(self.model)
        is_missing = self.model_used is None
        self.Error.no_such_model(self.model, default_folder(), shown=is_missing)
        self.panel.instead.setVisible(is_missing)

    def _show_data(self) -> None:
        columns = [] if self.data is None else tables.image_columns(self.data)
        self.panel.show_columns(columns, self.attribute_used)
        self._show_folder()
        self.Error.no_image_attribute(shown=self.data is not None and not columns)
        self.Warning.no_data(shown=self.data is not None and len(self.data) == 0)

    def _show_folder(self) -> None:
        self.panel.pictures.show_data(self.data, self.attribute_used)
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)

    def _folder_changed(self) -> None:
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self._inputs_changed()

    def changeEvent(self, event: QEvent) -> None:
        """Look again for the user's models when the user comes back to the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            before = self.model_used
            if self.panel.find_models():
                self._show_models()
                if self.model_used != before:
                    self._inputs_changed()

    # ---- when to run

    def _inputs_changed(self) -> None:
        """End what runs; begin anew, unless the same has been computed or Apply is awaited."""
        self.cancel()
        self._clear_outcome()
        request = self._request()
        if request is not None and self._is_finished(request):
            self._is_pending = False
            self._show_outcome()
        elif request is None or (self.auto_apply and not self._awaits_sending(request)):
            self._run(request)
        else:
            self._is_pending = True
            do = "embed the images" if request.host is None else f"send images to {request.host}"
            self.tell(f"Press Apply to {do}.")

    def _awaits_sending(self, request: Request) -> bool:
        """Whether a server has just been chosen that the user once agreed to send images to."""
        host = request.host
        return self._has_just_chosen_a_server and bool(host and user_settings().may_send_to(host))

    def _is_finished(self, request: Request) -> bool:
        done = self.finished
        return done is not None and done.n_skipped == 0 and request.is_same(done.request)

    def _destination_changed(self) -> None:
        request = self._request()
        done = self.finished
        if self.task is None and self.is_sent and done and done.request.is_same(request):
            return  # what was computed stays right, whether or not more may be sent
        self._inputs_changed()

    def _agreed(self) -> None:
        if self.task is None and not self.is_sent:
            self.apply()

    def _agree_to_fetch(self) -> None:
        assert self.finished is not None
        agree(self.finished.unasked)
        self.apply()

    def _automatically_toggled(self, automatically: bool) -> None:
        self.auto_apply = automatically
        if automatically and self._is_pending and not self._has_just_chosen_a_server:
            self.apply()

    def apply(self) -> None:
        """Run, whatever was computed before."""
        self._has_just_chosen_a_server = False
        self.cancel()
        self._clear_outcome()
        self._wants_model = self.model
        self._run(self._request())

    def _download(self) -> None:
        """Fetch the model, as the user wants; what can be embedded then is embedded."""
        if self._request() is not None:
            self.apply()
            return
        self.cancel()
        self._clear_outcome()
        self.panel.download.show_running()
        self.start(fetch, self.model)

    def _remove(self) -> None:
        """Delete the model's files, as the user wants."""
        self.cancel()
        self._wants_model = None
        try:
            downloaded.remove(self.panel.models[self.model])
        except OSError as error:
            self.Error.failed(error)
        self.panel.find_models()
        self._show_model()

    def on_cancelled(self) -> None:
        """Let Apply be awaited."""
        self._is_pending = True
        self._wants_model = None
        self._show_model()

    def _request(self) -> Request | None:
        """Say what would be computed now; None if something is missing for it."""
        attribute = self.attribute_used
        model = self.panel.models.get(self.model)
        if not self.data or attribute is None or model is None:
            return None
        folder = self.panel.pictures.folder
        request = Request(
            self.data, attribute, model.id, model.title, folder=folder, depth=self.depth
        )
        if model.is_local:
            return replace(
                request,
                provider=user_settings().provider,
                downloads=model.section is Section.TO_DOWNLOAD,
            )
        server = self.panel.destination
        self.Error.bad_address(server.problem, shown=bool(server.problem))
        if server.problem:
            return None
        return replace(request, server_url=server.address, host=server.host)

    def _may_download(self, request: Request) -> bool:
        """Whether the user wants this model on this computer; no workflow can decide that."""
        return self._wants_model == request.model and user_settings().may_download_from(hub_host())

    def _run(self, request: Request | None) -> None:
        self._is_pending = False
        self._clear_outputs()
        if request is None:
            self.tell("Nothing is embedded." if self.data else "No data.")
        elif request.host is not None and not user_settings().may_send_to(request.host):
            self.Warning.consent()
            self.tell("Waiting for your consent.")
        elif request.downloads and not self._may_download(request):
            self.Warning.download(request.title)
            self.tell("Press Download, or choose another embedder.")
        else:
            self.panel.download.show_running()
            self.tell(f"Starting {request.title}...")
            self.start(embed, request)

    # ---- what comes out

    def on_partial_result(self, result: Any) -> None:
        """Show a model arrive, and list it among those that are here once it has."""
        if isinstance(result, Model):
            self.panel.find_models()
            self._show_model()
        else:
            self.panel.download.show_progress(result)

    def on_done(self, result: Finished | Model) -> None:
        """Send both tables; if there were no images, a model was fetched."""
        if isinstance(result, Model):
            self.tell(f"{result.title} is on this computer now.")
            return
        self.finished = result
        self.is_sent = False
        self._show_outcome()

    def explain(self, error: Exception) -> bool:
        """Say what is wrong with the server, and offer a model that needs none."""
        self.panel.show_model(self.model)
        self.panel.instead.setVisible(isinstance(error, (ConnectionError, ServerRefusedError)))
        self.Error.unreachable(error, shown=isinstance(error, EmbeddingConnectionError))
        self.Error.refused(error, shown=isinstance(error, ServerRefusedError))
        return isinstance(error, (EmbeddingConnectionError, ServerRefusedError))

    def _show_outcome(self) -> None:
        done = self.finished
        assert done is not None
        if not self.is_sent:
            self.Outputs.embeddings.send(done.embedded)
            self.Outputs.skipped_images.send(done.skipped)
            self.is_sent = True
        self.tell(done.summary)
        self.Warning.skipped(done.skips, shown=done.n_skipped > 0)
        if done.reasons[Reason.NOT_FOUND]:
            self.panel.pictures.offer()
        if done.lost:
            self.Warning.server_lost(done.lost)
        ask(self.Warning.web, self.panel.fetch, done.unasked)
        self.panel.instead.setVisible(bool(done.lost))

    def _clear_outcome(self) -> None:
        self.clear_run_messages()
        for message in (
            self.Error.bad_address,
            self.Error.unreachable,
            self.Error.refused,
            self.Warning.consent,
            self.Warning.download,
            self.Warning.skipped,
            self.Warning.server_lost,
            self.Warning.web,
        ):
            message.clear()
        self.panel.instead.setVisible(self.model_used is None)
        self.panel.fetch.hide()
        self.panel.download.show_model(self.panel.models.get(self.model))

    def _clear_outputs(self) -> None:
        self.Outputs.embeddings.send(None)
        self.Outputs.skipped_images.send(None)
        self.is_sent = False

    # ---- the rest of a widget's life

    def onDeleteWidget(self) -> None:
        """End what runs, and hear no more of the user's settings."""
        self.panel.destination.let_go()
        super().onDeleteWidget()

    def send_report(self) -> None:
        """Say what was embedded with what, and what was skipped and why."""
        model = self.panel.models.get(self.model)
        if model is None:
            self.report_paragraph("Embedder", str(self.Error.no_such_model))
            return
        report_settings(self, self.attribute_used, model, str(self.panel.destination.address))
        if self.finished is None or not self.is_sent:
            self.report_paragraph("Images", self.told)
        else:
            report_outcome(self, self.finished)

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take the settings of any version, the public add-on's included."""
        migration.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWImageEmbedding).run()
