"""Menus in which nothing far-reaching is chosen by accident."""

from __future__ import annotations

import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QLineEdit, QVBoxLayout, QWidget
from Orange.widgets.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.menus import Menu

from ..pointing import click_in_list, turn_wheel


class TestMenu(GuiTest):
    @pytest.fixture(autouse=True)
    def window(self):
        # a, b and e are free, c and d deliberate.
        window = QWidget()
        self.menu, other = Menu(), QLineEdit()
        layout = QVBoxLayout(window)
        layout.addWidget(other)
        layout.addWidget(self.menu)
        for name in "abcde":
            self.menu.addItem(name.upper(), name)
        self.menu.set_deliberate(2)
        self.menu.set_deliberate(3)
        self.chosen = []
        self.menu.activated.connect(lambda i: self.chosen.append(self.menu.itemData(i)))
        window.show()
        QTest.qWaitForWindowActive(window)
        other.setFocus()
        yield
        window.close()

    def test_the_wheel_in_passing_changes_nothing_and_takes_no_focus(self):
        turn_wheel(self.menu, -3)
        assert self.chosen == [] and not self.menu.hasFocus()

    def test_with_the_focus_the_wheel_steps_over_what_is_chosen_on_purpose(self):
        self.menu.setFocus()
        for _ in range(4):
            turn_wheel(self.menu, -1)
        assert self.chosen == ["b", "e"]
        turn_wheel(self.menu, 1)
        assert self.chosen[-1] == "b"

    def test_arrow_keys_step_over_it_too(self):
        self.menu.setFocus()
        for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Home):
            QTest.keyClick(self.menu, key)
        QTest.keyClick(self.menu, Qt.Key.Key_End)
        assert self.chosen == ["b", "e", "b", "a", "e"]

    def test_a_letter_looks_in_the_open_list_and_enter_chooses(self):
        self.menu.setFocus()
        QTest.keyClicks(self.menu, "c")
        assert self.chosen == [] and self.menu.view().isVisible()
        assert self.menu.view().currentIndex().row() == 2
        QTest.keyClick(self.menu.view(), Qt.Key.Key_Return)
        assert self.chosen == ["c"]

    def test_escape_leaves_the_open_list_without_a_choice(self):
        self.menu.setFocus()
        QTest.keyClicks(self.menu, "c")
        QTest.keyClick(self.menu.view(), Qt.Key.Key_Escape)
        assert self.chosen == [] and self.menu.currentData() == "a"

    def test_a_click_chooses_anything(self):
        click_in_list(self.menu, "d")
        assert self.chosen == ["d"]

    def test_an_item_that_is_disabled_is_stepped_over(self):
        self.menu.model().item(1).setEnabled(False)
        self.menu.setFocus()
        QTest.keyClick(self.menu, Qt.Key.Key_Down)
        assert self.chosen == ["e"]

    def test_a_menu_without_items_stays_empty(self):
        self.menu.clear()
        self.menu.setFocus()
        turn_wheel(self.menu, -1)
        QTest.keyClick(self.menu, Qt.Key.Key_Down)
        assert self.chosen == [] and self.menu.currentIndex() == -1
