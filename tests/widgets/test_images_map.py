"""The map's arithmetic: what is seen at which zoom, where it is, and where keys lead."""

from __future__ import annotations

import numpy as np
import pytest
from AnyQt.QtCore import QPoint, QRect, QSize

from orangecontrib.imageanalytics.arrangement import thin
from orangecontrib.imageanalytics.widgets.images_layout import Step
from orangecontrib.imageanalytics.widgets.images_map import MapLayout

CELL, WINDOW = QSize(76, 90), QSize(800, 600)


def a_map(count: int = 500, zoom: float = 1.0) -> MapLayout:
    places = thin(np.random.default_rng(0).normal(size=(count, 2)))
    layout = MapLayout(places, zoom)
    layout.arrange(count, CELL, WINDOW)
    return layout


def everything(layout: MapLayout) -> QRect:
    return QRect(QPoint(0, 0), layout.size() + WINDOW)


def test_at_first_the_whole_map_is_in_the_window_and_in_its_middle():
    layout = a_map()
    size = layout.size()
    assert size.width() <= 800 and size.height() <= 600
    assert size.height() > 595 or size.width() > 795
    places = [layout.rect(position) for position in range(500)]
    assert all(QRect(QPoint(0, 0), WINDOW).contains(place) for place in places)
    left = min(place.left() for place in places)
    right = max(place.right() for place in places)
    assert abs(left - (799 - right)) <= 1


@pytest.mark.parametrize("zoom", [1.0, 1.7, 6.0, 40.0, 1e9])
def test_nothing_that_is_seen_overlaps_and_the_rest_is_hidden(zoom):
    layout = a_map(zoom=zoom)
    shown = layout.within(everything(layout)).tolist()
    rects = [layout.rect(position) for position in shown]
    for number, rect in enumerate(rects):
        assert not any(rect.intersects(other) for other in rects[:number])
    hidden = layout.hidden(everything(layout)).tolist()
    assert sorted(shown + hidden) == list(range(500))
    assert sorted(layout.touched(everything(layout)).tolist()) == list(range(500))


def test_what_is_seen_stays_seen_and_in_the_end_all_are():
    layout, before = a_map(), set()
    for _ in range(200):
        layout.zoomed(1.2, QPoint(300, 300))
        now = set(layout.within(everything(layout)).tolist())
        assert before <= now
        before = now
    assert len(before) == 500
    zoom = layout.zoom
    layout.zoomed(2.0, QPoint(300, 300))
    assert layout.zoom == zoom  # there is nothing more to be seen
    layout.zoomed(1e-9, QPoint(300, 300))
    assert layout.zoom == 1.0


def test_the_point_that_is_zoomed_about_stays_where_it_is():
    layout = a_map(zoom=2.0)
    position = int(layout.within(everything(layout))[7])
    about = layout.rect(position).center()
    moved = layout.zoomed(3.0, about)
    apart = layout.rect(position).center() - moved
    assert abs(apart.x()) <= 2 and abs(apart.y()) <= 2


def test_pictures_are_found_where_they_are():
    layout = a_map(zoom=3.0)
    for position in layout.within(everything(layout)).tolist():
        rect = layout.rect(position)
        assert layout.at(rect.topLeft()) == layout.at(rect.bottomRight()) == position
    hidden = int(layout.hidden(everything(layout))[0])
    assert layout.at(layout.rect(hidden).center()) != hidden
    x, y = layout.middles(np.array([hidden]))[0].tolist()
    assert hidden in layout.touched(QRect(x, y, 1, 1)).tolist()


def test_the_arrows_lead_to_the_next_picture_that_way():
    layout = a_map(zoom=2.0)
    shown = layout.within(everything(layout)).tolist()
    start = shown[len(shown) // 2]
    here = layout.rect(start)
    assert layout.rect(layout.step(start, Step.LEFT)).left() < here.left()
    assert layout.rect(layout.step(start, Step.RIGHT)).left() > here.left()
    assert layout.rect(layout.step(start, Step.UP)).top() < here.top()
    assert layout.rect(layout.step(start, Step.DOWN)).top() > here.top()
    for step in Step:
        assert layout.step(start, step) in shown
    rightmost = max(shown, key=lambda position: layout.rect(position).left())
    assert layout.step(rightmost, Step.RIGHT) == rightmost
    hidden = int(layout.hidden(everything(layout))[0])  # as a picture that was seen before zooming
    assert layout.step(hidden, Step.DOWN) in shown


def test_one_picture_two_equal_ones_and_none():
    for points in ([[5.0, 5.0]], [[5.0, 5.0]] * 2, np.zeros((0, 2))):
        layout = MapLayout(thin(np.array(points, float)))
        layout.arrange(len(points), CELL, WINDOW)
        assert len(layout.within(everything(layout))) == len(points)
        assert layout.zoom == 1.0
    layout = MapLayout(thin(np.array([[5.0, 5.0]])))
    layout.arrange(1, CELL, WINDOW)
    middle = layout.rect(0).center() - QRect(QPoint(0, 0), WINDOW).center()
    assert abs(middle.x()) <= 1 and abs(middle.y()) <= 1


def test_a_window_smaller_than_a_picture_and_fewer_pictures_than_places_are_no_trouble():
    layout = a_map()
    layout.arrange(500, CELL, QSize(20, 20))
    assert len(layout.within(everything(layout))) >= 1
    layout.arrange(0, CELL, WINDOW)  # while other pictures are about to come
    assert not len(layout.within(everything(layout))) and layout.at(QPoint(5, 5)) == -1
    assert layout.step(0, Step.END) == 0
