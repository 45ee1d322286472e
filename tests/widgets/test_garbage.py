"""While pictures move beneath the eye, there is no full collection of garbage; then as before."""

from __future__ import annotations

import gc

from Orange.widgets.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets import garbage
from orangecontrib.imageanalytics.widgets.images_view import ImagesView
from tests.widget_case import until


class TestGarbage(GuiTest):
    def setUp(self) -> None:
        self.usual = gc.get_threshold()
        gc.set_threshold(500, 7, 3)

    def tearDown(self) -> None:
        until(lambda: gc.get_threshold()[2] < 100)
        gc.set_threshold(*self.usual)

    def test_it_is_put_off_while_a_view_scrolls_and_the_young_are_still_collected(self):
        view = ImagesView()
        view.resize(300, 300)
        view.set_images([None] * 1000)
        view.verticalScrollBar().setValue(500)
        young, middle, full = gc.get_threshold()
        assert (young, middle) == (500, 7)
        assert full > 10**6
        until(lambda: gc.get_threshold() == (500, 7, 3))
        view.close_images()

    def test_what_others_have_set_meanwhile_stays(self):
        garbage.put_off_collection()
        gc.set_threshold(600, 8, 4)
        until(lambda: not garbage._timer.isActive())
        assert gc.get_threshold() == (600, 8, 4)
        gc.set_threshold(0)
        garbage.put_off_collection()
        assert gc.get_threshold()[0] == 0
        gc.set_threshold(500, 7, 3)
