"""Models that were trained on embeddings, in Orange's own widgets: each wiring right, or refused.

What the widgets are given is an embedding of reddish and bluish pictures (`embedded`), and a
table of other such pictures that has no embedding (`raw`).
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np
import pytest
from AnyQt.QtCore import QTimer
from AnyQt.QtWidgets import QApplication, QProgressDialog, QPushButton
from Orange.classification import LogisticRegressionLearner
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table
from Orange.distance import Euclidean
from Orange.evaluation import CA
from Orange.widgets.data.owconcatenate import OWConcatenate
from Orange.widgets.data.oweditdomain import ContinuousVariableEditor, OWEditDomain
from Orange.widgets.data.owfeaturestatistics import OWFeatureStatistics
from Orange.widgets.data.owmergedata import OWMergeData
from Orange.widgets.data.owpythonscript import OWPythonScript
from Orange.widgets.data.owrank import OWRank
from Orange.widgets.data.owsave import OWSave
from Orange.widgets.data.owselectcolumns import OWSelectAttributes
from Orange.widgets.data.owtransform import OWTransform
from Orange.widgets.evaluate.owpredictions import OWPredictions
from Orange.widgets.evaluate.owtestandscore import OWTestAndScore
from Orange.widgets.model.owloadmodel import OWLoadModel
from Orange.widgets.model.owlogisticregression import OWLogisticRegression
from Orange.widgets.model.owsavemodel import OWSaveModel
from Orange.widgets.unsupervised.owhierarchicalclustering import OWHierarchicalClustering
from Orange.widgets.unsupervised.owkmeans import OWKMeans
from Orange.widgets.unsupervised.owpca import OWPCA

from orangecontrib.imageanalytics import kept_embedders
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.outcome import ComputedColumnError
from orangecontrib.imageanalytics.surroundings import Surroundings, surround, surroundings
from tests import colour_photos
from tests.colour_photos import MODEL, embed, photos, without_pictures
from tests.misbehaving_server import MisbehavingServer
from tests.web_server import WebServer, answer
from tests.widget_case import EmbeddingWidgetTest, until

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")


def plain(table: Table) -> Table:
    """The same table as read from a file, with columns that know nothing."""
    domain = table.domain
    attributes = [ContinuousVariable(variable.name) for variable in domain.attributes]
    return Table.from_numpy(
        Domain(attributes, domain.class_vars, domain.metas), table.X, table.Y, table.metas
    )


class ModelsTest(EmbeddingWidgetTest):
    @pytest.fixture(autouse=True)
    def tables(self, own_user: None):
        colour_photos.add_model()
        self.embedded = embed(photos(self.folder / "old"))
        self.raw = photos(self.folder / "new", 6, seed=1)
        yield
        kept_embedders.close_all()

    def model(self, table: Table | None = None) -> Any:
        return LogisticRegressionLearner()(self.embedded if table is None else table)

    def predict(self, model: Any, data: Table) -> tuple[OWPredictions, Table | None]:
        widget = self.create_widget(OWPredictions)
        self.send_signal(widget.Inputs.predictors, model, 0, widget=widget)
        self.send_signal(widget.Inputs.data, data, widget=widget)
        return widget, self.get_output(widget.Outputs.annotated, widget=widget)

    def check_right(self, model: Any, data: Table | None = None) -> None:
        data = self.raw if data is None else data
        widget, predicted = self.predict(model, data)
        assert not widget.Error.active
        np.testing.assert_array_equal(predicted.get_column(model.name), data.Y)

    # ---- Predictions

    def test_predictions_of_raw_pictures_are_right(self):
        self.check_right(self.model())

    def test_a_plain_model_takes_the_embedded_table_and_ours_the_plain_one(self):
        new = without_pictures(embed(self.raw))
        for learned in (self.embedded, plain(self.embedded)):
            for given in (new, plain(new)):
                self.check_right(self.model(learned), given)

    def test_predictions_refuse_with_a_sentence_that_names_the_pictures(self):
        (self.folder / "new" / "1-4.png").write_bytes(b"no picture")
        widget, _ = self.predict(self.model(), self.raw)
        message = str(widget.Error.predictor_failed)
        assert widget.Error.predictor_failed.is_shown()
        assert "1 of 6 pictures cannot be embedded: 1-4.png (not an image)" in message
        assert "Skipped Images" in message

    def test_names_without_a_folder_are_not_looked_for_where_orange_was_started(self):
        here = photos(self.folder / "here", 2, seed=2)
        del here.domain["image"].attributes["origin"]
        embedding = self.embedded.domain.attributes[0].compute_value.compute_shared
        with contextlib.chdir(self.folder / "here"):
            with pytest.raises(ComputedColumnError, match=r"2-0.png \(not found\)"):
                embedding(here)
            surround(Surroundings())  # in a script it is what it says
            assert np.isfinite(embedding(here)).all()

    def test_a_model_of_a_server_uploads_nothing_without_consent_on_this_computer(self):
        with MisbehavingServer() as server:
            with ImageEmbedder("deeploc", server.url) as embedder:
                embedded, _, _ = embedder(photos(self.folder / "sent", 8, seed=2))
            sent = len(server.requests)
            model = self.model(embedded)
            widget, _ = self.predict(model, self.raw)
            assert "not the server that is set in Image Embedding" in str(
                widget.Error.predictor_failed
            )
            self.user.server_address = server.url
            widget, _ = self.predict(model, self.raw)
            assert "you have not agreed" in str(widget.Error.predictor_failed)
            assert len(server.requests) == sent
            self.user.allow(f"127.0.0.1:{server.port}")
            widget, _ = self.predict(model, self.raw)
            assert not widget.Error.active
            assert len(server.requests) == sent + 6

    def test_web_images_are_fetched_only_from_hosts_that_the_user_has_agreed_to(self):
        picture = (self.folder / "new" / "1-0.png").read_bytes()
        with WebServer() as web:
            with self.raw.unlocked(self.raw.metas):
                self.raw.metas[0, 0] = web.on("/a.png", answer(picture))
            widget, _ = self.predict(self.model(), self.raw)
            assert "a.png (could not be downloaded)" in str(widget.Error.predictor_failed)
            assert web.requests == []
            self.user.allow_fetching(["127.0.0.1"])
            self.check_right(self.model())

    # ---- the window, meanwhile

    def test_the_window_lives_while_predictions_look_at_pictures(self):
        beats = []
        timer = QTimer(interval=10)
        timer.timeout.connect(lambda: beats.append(time.monotonic()))
        timer.start()
        begun = time.monotonic()
        self.check_right(self.model())
        timer.stop()
        # it has beaten during the work, which begins with the start of a process
        assert len(beats) > 5 and beats[-1] - begun > 0.05

    def test_a_long_wait_shows_how_far_it_is_and_can_be_ended(self):
        seen = []

        def cancel() -> None:
            for dialog in QApplication.topLevelWidgets():
                if isinstance(dialog, QProgressDialog) and dialog.isVisible():
                    seen.append(dialog.labelText())
                    [button] = dialog.findChildren(QPushButton)
                    button.click()

        def never_ends(progress: Any) -> None:
            while True:
                progress(0.5)
                time.sleep(0.01)

        timer = QTimer(interval=50)
        timer.timeout.connect(cancel)
        timer.start()
        with pytest.raises(ValueError, match="Cancelled"):
            surroundings().wait_for(never_ends, 40, "SqueezeNet")
        timer.stop()
        assert seen == ["A model looks at 40 pictures.\nEmbedding 20 of 40 (SqueezeNet)"]

    # ---- Test and Score

    def scored(self, train: Table, test: Table | None = None) -> OWTestAndScore:
        widget = self.create_widget(OWTestAndScore)
        widget.resampling = OWTestAndScore.KFold if test is None else OWTestAndScore.TestOnTest
        self.send_signal(widget.Inputs.train_data, train, widget=widget)
        self.send_signal(widget.Inputs.test_data, test, widget=widget)
        self.send_signal(widget.Inputs.learner, LogisticRegressionLearner(), 0, widget=widget)
        until(lambda: widget._OWTestAndScore__task is None)
        return widget

    def test_test_and_score_cross_validates_and_tests_on_raw_pictures(self):
        for test in (None, self.raw, embed(self.raw)):
            widget = self.scored(self.embedded, test)
            results = self.get_output(widget.Outputs.evaluations_results, widget=widget)
            assert CA(results)[0] == 1
            widget.onDeleteWidget()

    def test_test_and_score_says_what_cannot_be_embedded(self):
        widget = self.scored(self.embedded, without_pictures(self.raw))
        message = " ".join(str(m) for group in widget.message_groups for m in group.active)
        assert "gone-0.png (not found)" in message and "Skipped Images" in message

    # ---- models that are kept

    def test_a_saved_model_that_is_loaded_looks_at_pictures(self):
        saving = self.create_widget(OWSaveModel)
        self.send_signal(saving.Inputs.model, self.model(), widget=saving)
        saving.filename = str(self.folder / "model.pkcls")
        saving.do_save()
        loading = self.create_widget(OWLoadModel)
        loading.add_path(saving.filename)
        loading.open_file()
        self.check_right(self.get_output(loading.Outputs.model, widget=loading))

    def test_a_model_from_the_widget_logistic_regression_looks_at_pictures(self):
        learner = self.create_widget(OWLogisticRegression)
        self.send_signal(learner.Inputs.data, self.embedded, widget=learner)
        self.check_right(self.get_output(learner.Outputs.model, widget=learner))

    # ---- columns that go through other widgets

    def test_apply_domain_embeds_raw_pictures(self):
        widget = self.create_widget(OWTransform)
        self.send_signal(widget.Inputs.data, self.raw, widget=widget)
        self.send_signal(widget.Inputs.template_data, self.embedded, widget=widget)
        until(lambda: widget.task is None)
        applied = self.get_output(widget.Outputs.transformed_data, widget=widget)
        np.testing.assert_allclose(applied.X, embed(self.raw).X)

    def test_apply_domain_says_what_cannot_be_embedded(self):
        widget = self.create_widget(OWTransform)
        self.send_signal(widget.Inputs.data, without_pictures(self.raw), widget=widget)
        self.send_signal(widget.Inputs.template_data, self.embedded, widget=widget)
        until(lambda: widget.Error.error.is_shown())
        assert "gone-0.png (not found)" in str(widget.Error.error)

    def test_pca_gives_components_that_look_at_pictures(self):
        widget = self.create_widget(OWPCA)
        self.send_signal(widget.Inputs.data, self.embedded, widget=widget)
        until(lambda: widget.task is None)
        components = self.get_output(widget.Outputs.transformed_data, widget=widget)
        assert components.domain.attributes[0].name == "PC1"
        self.check_right(self.model(components))

    def test_select_columns_and_rank_leave_columns_that_look_at_pictures(self):
        selecting = self.create_widget(OWSelectAttributes)
        self.send_signal(selecting.Inputs.data, self.embedded, widget=selecting)
        selected = self.get_output(selecting.Outputs.data, widget=selecting)
        self.check_right(self.model(selected))
        ranking = self.create_widget(OWRank, stored_settings={"nSelected": 2})
        self.send_signal(ranking.Inputs.data, selected, widget=ranking)
        until(lambda: ranking.task is None)
        reduced = self.get_output(ranking.Outputs.reduced_data, widget=ranking)
        assert len(reduced.domain.attributes) == 2
        self.check_right(self.model(reduced))

    def test_k_means_gives_clusters_that_look_at_pictures(self):
        widget = self.create_widget(OWKMeans, stored_settings={"k": 2, "optimize_k": False})
        self.send_signal(widget.Inputs.data, self.embedded, widget=widget)
        until(lambda: not widget.isInvalidated())
        clustered = self.get_output(widget.Outputs.annotated_data, widget=widget)
        cluster = clustered.domain["Cluster"]
        of_raw = self.raw.transform(Domain([], cluster)).Y
        assert len(set(of_raw[self.raw.Y == 0])) == len(set(of_raw[self.raw.Y == 1])) == 1
        assert of_raw[0] != of_raw[1]

    def test_hierarchical_clustering_keeps_the_columns(self):
        widget = self.create_widget(OWHierarchicalClustering)
        self.send_signal(widget.Inputs.distances, Euclidean(self.embedded), widget=widget)
        clustered = self.get_output(widget.Outputs.annotated_data, widget=widget)
        self.check_right(
            self.model(
                clustered.transform(
                    Domain(
                        clustered.domain.attributes,
                        self.embedded.domain.class_vars,
                        self.embedded.domain.metas,
                    )
                )
            )
        )

    def test_edit_domain_renames_columns_that_still_look_at_pictures(self):
        widget = self.create_widget(OWEditDomain)
        self.send_signal(widget.Inputs.data, self.embedded, widget=widget)
        widget.variables_view.setCurrentIndex(widget.variables_model.index(0))
        editor = widget.findChild(ContinuousVariableEditor)
        assert editor.name_edit.text() == "n0"
        editor.name_edit.setText("red")
        editor.on_name_changed()
        widget.commit()
        renamed = self.get_output(widget.Outputs.data, widget=widget)
        assert renamed.domain.attributes[0].name == "red"
        self.check_right(self.model(renamed))

    def test_merge_data_adds_labels_to_an_embedding(self):
        images = [str(row["image"]) for row in self.embedded]
        labels = Table.from_list(
            Domain([DiscreteVariable("label", values=("a", "b"))], None, [StringVariable("image")]),
            [["a" if i % 2 else "b", name] for i, name in enumerate([*images[:-2], "other.png"])],
        )
        image = self.embedded.domain["image"]
        for merging in range(3):
            widget = self.create_widget(OWMergeData)
            self.send_signal(widget.Inputs.data, self.embedded, widget=widget)
            self.send_signal(widget.Inputs.extra_data, labels, widget=widget)
            widget.merging = merging
            widget.attr_boxes.set_state([(image, labels.domain["image"])])
            widget.commit.now()
            merged = self.get_output(widget.Outputs.data, widget=widget)
            assert "n0" in merged.domain and "label" in merged.domain
            self.check_right(self.model(merged[:10]))
        # the outer join has a row of a picture that there is not: unknown, as ever, and no crash
        assert np.isnan(merged.get_column("n0")).sum() == 1

    def test_concatenate_embeds_what_it_can_and_leaves_the_rest_unknown(self):
        words = Table.from_list(Domain([], None, [StringVariable("word")]), [["a"], ["b"]])
        widget = self.create_widget(OWConcatenate)
        for index, table in enumerate((self.embedded, self.raw, words)):
            self.send_signal(widget.Inputs.additional_data, table, index, widget=widget)
        together = self.get_output(widget.Outputs.data, widget=widget)
        column = together.get_column("n0")
        np.testing.assert_allclose(column[12:18], embed(self.raw).get_column("n0"))
        assert np.isnan(column[18:]).all() and not np.isnan(column[:18]).any()

    def test_concatenate_takes_plain_and_computed_columns_for_the_same(self):
        widget = self.create_widget(OWConcatenate)
        for index, table in enumerate((self.embedded, plain(embed(self.raw)))):
            self.send_signal(widget.Inputs.additional_data, table, index, widget=widget)
        together = self.get_output(widget.Outputs.data, widget=widget)
        assert [v.name for v in together.domain.attributes] == ["n0", "n1", "n2", "n3"]
        assert not np.isnan(together.X).any()

    def test_a_saved_table_comes_back_with_columns_that_look_at_pictures(self):
        widget = self.create_widget(OWSave)
        self.send_signal(widget.Inputs.data, self.embedded, widget=widget)
        widget.filename = str(self.folder / "table.pkl")
        widget.filter = next(f for f in widget.get_filters() if "*.pkl" in f)
        widget.do_save()
        self.check_right(self.model(Table(widget.filename)))

    def test_feature_statistics_shows_the_columns(self):
        widget = self.create_widget(OWFeatureStatistics)
        self.send_signal(widget.Inputs.data, self.embedded, widget=widget)
        statistics = self.get_output(widget.Outputs.statistics, widget=widget)
        assert {"n0", "n3"} <= {str(row["Column"]) for row in statistics}

    def test_a_python_script_predicts_raw_pictures(self):
        widget = self.create_widget(OWPythonScript)
        widget.text.document().setPlainText(
            "out_data = in_data.copy()\nwith out_data.unlocked():\n"
            "    out_data.Y[:] = in_classifier(in_data)\n"
        )
        self.send_signal(widget.Inputs.data, self.raw, 0, widget=widget)
        self.send_signal(widget.Inputs.classifier, self.model(), 0, widget=widget)
        widget.commit()
        predicted = self.get_output(widget.Outputs.data, widget=widget)
        np.testing.assert_array_equal(predicted.Y, self.raw.Y)

    # ---- the widget Image Embedding itself

    def test_the_widget_makes_columns_that_look_at_pictures(self):
        widget = self.make(model=MODEL)
        old = photos(self.folder / "old")
        self.give(widget, old)
        self.finish(widget)
        embedded, _ = self.outputs(widget)
        self.check_right(self.model(embedded))
