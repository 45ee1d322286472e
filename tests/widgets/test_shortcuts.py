"""The keys of the controls."""

import importlib

import pytest
from AnyQt.QtGui import QKeySequence
from AnyQt.QtWidgets import QAbstractButton, QLabel
from Orange.widgets.tests import base  # its class by itself would be collected, too

from tests.widgets.test_category import WIDGETS
from tests.workflows import own_user

__all__ = ["own_user"]


def made(case, name):
    module, name = name.split(".")
    module = importlib.import_module("orangecontrib.imageanalytics.widgets." + module)
    return case.create_widget(getattr(module, name))


@pytest.mark.usefixtures("own_user")
class TestShortcuts(base.WidgetTest):
    # Orange adds these to each class of tests; here they have no widget.
    test_minimum_size = test_image_export = test_msg_base_class = test_zero_size_data = None

    def test_no_control_takes_the_key_of_the_report(self):
        """Alt+R is Orange's in every widget, and a key that two have does nothing at all."""
        for title, name in WIDGETS.items():
            widget = made(self, name)
            labels = [label for label in widget.findChildren(QLabel) if label.buddy()]
            texts = [part.text() for part in (*labels, *widget.findChildren(QAbstractButton))]
            keys = {QKeySequence.mnemonic(text).toString(): text for text in texts}
            assert len(keys) > 1 and keys.get("Alt+R") is None, title
