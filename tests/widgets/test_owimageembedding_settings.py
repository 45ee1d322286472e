"""Saved workflows open with their settings, whoever wrote them and whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from Orange.data import Domain, StringVariable, Table

from orangecontrib.imageanalytics.widgets.migration import TYPES, migrate
from tests.widget_case import EmbeddingWidgetTest, image_table, photo_paths

PUBLIC = ("inception-v3", "squeezenet", "vgg16", "vgg19", "painters", "deeploc", "openface")
KEYS = (
    "cb_embedder_current_id",
    "cb_image_attr_current_id",
    "_auto_apply",
    "current_embedder",
    *TYPES,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=5,
)


@pytest.mark.parametrize("index", range(7))
def test_the_public_add_ons_menu_is_understood(index):
    settings = {
        "cb_embedder_current_id": index,
        "cb_image_attr_current_id": 1,
        "_auto_apply": False,
    }
    migrate(settings)
    assert settings == {"model": PUBLIC[index], "attribute_index": 1, "auto_apply": False}


def test_the_name_in_later_versions_wins_over_the_index():
    settings = {"cb_embedder_current_id": 1, "current_embedder": "vgg19"}
    migrate(settings)
    assert settings == {"model": "vgg19"}


@pytest.mark.parametrize("garbage", [-1, 7, 10**30, True, "1", 1.0, None, [], {}, b"\x00"])
def test_garbage_in_the_public_add_ons_settings_is_left_out(garbage):
    settings = dict.fromkeys(KEYS[:2], garbage)
    migrate(settings)
    assert "model" not in settings
    assert isinstance(settings.get("attribute_index", 0), int)


@effort(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), anything))
def test_no_settings_break_the_migration_and_what_is_left_is_of_our_types(settings):
    migrate(settings)
    for name, types in TYPES.items():
        assert isinstance(settings.get(name, None), types) or name not in settings


class TestSavedSettings(EmbeddingWidgetTest):
    def test_settings_are_names_and_are_saved(self):
        widget = self.make(auto_apply=False)
        self.choose(widget, "efficientnet-lite0")
        packed = widget.settingsHandler.pack_data(widget)
        assert packed["model"] == "efficientnet-lite0" and packed["auto_apply"] is False
        assert "context_settings" not in packed

    def test_a_migrated_server_embedder_asks_before_it_sends(self):
        widget = self.make(cb_embedder_current_id=0, cb_image_attr_current_id=0)
        self.give(widget, image_table(photo_paths()[:1]))
        assert widget.model_used == "inception-v3"
        assert widget.task is None and self.shown(widget) == ["consent"]

    def test_the_public_add_ons_attribute_is_found_when_data_comes(self):
        widget = self.make(cb_image_attr_current_id=1, _auto_apply=False)
        domain = Domain([], metas=[StringVariable("a"), StringVariable("b")])
        self.give(widget, Table.from_list(domain, [["x", "y"]]))
        assert widget.attribute_used == "b" and widget.auto_apply is False
        assert not widget.panel.automatically.isChecked()

    def test_garbage_of_every_type_loads(self):
        for garbage in (None, 5, -1, 10**30, "x" * 10**6, b"\xff", [[]], {"a": {}}, object, 0.5):
            widget = self.make(**dict.fromkeys(KEYS, garbage), context_settings=garbage)
            self.give(widget, image_table(["gone.png"]))
            assert widget.attribute_used == "image"
            self.finish(widget)
