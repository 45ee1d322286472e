"""A map of pictures: each where it belongs on a plane; the larger the map, the more are seen."""

from __future__ import annotations

import numpy as np
from AnyQt.QtCore import QPoint, QPointF, QRect, QSize
from numpy.typing import NDArray

from orangecontrib.imageanalytics.arrangement import Places
from orangecontrib.imageanalytics.widgets.images_layout import Layout, Positions, Step

#: Pixels of the smallest picture that is seen.
_SMALLEST = 16
#: Pictures grow by this power of the map's zoom, up to so many times.
_GROWS, _GROWN = 0.5, 4.0
#: A way across counts so many times that ahead, when an arrow key looks for the next picture.
_ASIDE = 2.0
_WAYS = {
    Step.LEFT: (-1, 0),
    Step.RIGHT: (1, 0),
    Step.UP: (0, -1),
    Step.DOWN: (0, 1),
}


class MapLayout(Layout):
    """Pictures on a plane that grows; those that would lie over others are smaller, or left out.

    Pictures grow with the map, but slower, and not for ever. Each is of full size where it has
    the room beside all that came into sight before it, even if these were so as well; else as
    large as there is room; and `hidden` if that is next to nothing. So nothing overlaps, and what
    is seen stays so, and grows, when the map does.

    Parameters
    ----------
    places : Places
        Where they are.
    zoom : float
        How much larger the map is than fits into the window.

    Attributes
    ----------
    zoom : float
        At least 1.
    """

    grows = True

    def __init__(self, places: Places, zoom: float = 1.0) -> None:
        self._places = places
        self.zoom = max(zoom, 1.0)
        self._asked = self._viewport = QSize(1, 1)
        self._cell = QSize(1, 1)  # of a picture of full size
        self._scale = 1.0
        self._offset = QPoint()  # of the map within a window that is larger
        self._middles: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self._sizes: NDArray[np.int64] = np.zeros((0, 2), np.int64)  # 0 if hidden
        self._seen: Positions = np.empty(0, np.intp)  # in the order in which they came into sight

    def arrange(self, count: int, cell: QSize, viewport: QSize) -> None:
        """Arrange so many cells of this size for a window of this size."""
        self._asked, self._viewport = cell, viewport
        points = self._places.points[:count]  # fewer while other pictures are about to come
        fits = self._fits
        self.zoom = min(self.zoom, max(1.0, self._all_seen / fits))
        more = round((self.growth - 1) * cell.width())
        self._cell = cell + QSize(more, more)
        self._scale = fits * self.zoom
        size = self.size()
        left, top = viewport.width() - size.width(), viewport.height() - size.height()
        self._offset = QPoint(max(0, left // 2), max(0, top // 2))
        half = (self._cell.width() // 2, self._cell.height() // 2)
        corner = (self._offset.x() + half[0], self._offset.y() + half[1])
        self._middles = np.rint(points * self._scale).astype(np.int64) + corner
        self._take_room(count)

    def _take_room(self, count: int) -> None:
        """Find out which pictures are seen, and how large."""
        width, height = self._cell.width(), self._cell.height()
        room = self._places.apart * self._scale
        # Half of the room to each picture before is left to that one, as if it was of full size.
        side = np.floor(np.minimum(2 * room - self._side, width + height)).astype(np.int64) - 1
        seen = (side >= min(_SMALLEST, width)) & (self._places.order < count)
        self._seen = self._places.order[seen]
        is_full = (room >= self._side)[seen]
        smaller = np.minimum(side[seen], width)
        self._sizes = np.zeros((len(self._middles), 2), np.int64)
        self._sizes[self._seen, 0] = np.where(is_full, width, smaller)
        self._sizes[self._seen, 1] = np.where(is_full, height, smaller)

    @property
    def growth(self) -> float:
        """How much larger than they were asked to be pictures of full size are."""
        return float(min(self.zoom**_GROWS, _GROWN))

    @property
    def _side(self) -> int:
        """How far apart pictures of full size must be in pixels, after rounding."""
        return max(self._cell.width(), self._cell.height()) + 1

    @property
    def _extent(self) -> tuple[float, float]:
        width, height = self._places.points.max(axis=0, initial=0.0).tolist()
        return width, height

    @property
    def _fits(self) -> float:
        """Pixels of the map's longer side, if all of it is to be in the window."""
        room = (
            self._viewport.width() - self._asked.width(),
            self._viewport.height() - self._asked.height(),
        )
        scales = [
            pixels / part for pixels, part in zip(room, self._extent, strict=True) if part > 0
        ]
        return max(min(scales, default=1.0), 1.0)

    @property
    def _all_seen(self) -> float:
        """Pixels of the map's longer side, if none is to be hidden."""
        apart = self._places.apart
        side = _GROWN * max(self._asked.width(), self._asked.height()) + 2
        return side / float(apart[-1]) if len(apart) else 1.0

    def size(self) -> QSize:
        """How large the whole contents are."""
        width, height = (round(part * self._scale) for part in self._extent)
        return self._cell + QSize(width, height)

    def rect(self, position: int) -> QRect:
        """Where a picture is, or would be if it was not hidden."""
        width, height = self._sizes[position].tolist()
        size = QSize(width, height) if width else self._cell
        x, y = self._middles[position].tolist()
        return QRect(QPoint(x - size.width() // 2, y - size.height() // 2), size)

    def at(self, point: QPoint) -> int:
        """Which picture is at a point; -1 if none."""
        found = self.within(QRect(point, QSize(1, 1)))
        return int(found[0]) if len(found) else -1

    def within(self, rect: QRect) -> Positions:
        """Which pictures are seen within a rectangle."""
        sizes = self._sizes[self._seen]
        x, y = (self._middles[self._seen] - sizes // 2).T
        width, height = sizes.T
        return self._seen[
            (x <= rect.right())
            & (x + width > rect.left())
            & (y <= rect.bottom())
            & (y + height > rect.top())
        ]

    def touched(self, rect: QRect) -> Positions:
        """Which pictures a rubber band takes, the hidden ones in it as well."""
        return np.concatenate([self.within(rect), self.hidden(rect)])

    def hidden(self, rect: QRect) -> Positions:
        """Which pictures are not seen whose middle is within a rectangle."""
        others = np.flatnonzero(self._sizes[:, 0] == 0)
        x, y = self._middles[others].T
        return others[
            (x >= rect.left()) & (x <= rect.right()) & (y >= rect.top()) & (y <= rect.bottom())
        ]

    def middles(self, positions: Positions) -> NDArray[np.int64]:
        """Where the middles of pictures are: x and y, [n, 2]."""
        return self._middles[positions]

    def step(self, position: int, step: Step) -> int:
        """Which picture a key leads to: the next one in that direction of those that are seen."""
        if not len(self._seen):
            return position
        if step in (Step.HOME, Step.END):
            diagonal = self._middles[self._seen].sum(axis=1)
            return int(self._seen[diagonal.argmin() if step is Step.HOME else diagonal.argmax()])
        if step in (Step.PAGE_UP, Step.PAGE_DOWN):
            page = self._viewport.height() * (-1 if step is Step.PAGE_UP else 1)
            return self._nearest(self._middles[position] + (0, page))
        across, down = _WAYS[step]
        x, y = (self._middles[self._seen] - self._middles[position]).T
        ahead, aside = x * across + y * down, np.abs(x * down + y * across)
        cost = np.where(ahead > 0, ahead + _ASIDE * aside, np.inf)
        best = int(cost.argmin())
        return int(self._seen[best]) if np.isfinite(cost[best]) else position

    def _nearest(self, place: NDArray[np.int64]) -> int:
        ways = ((self._middles[self._seen] - place) ** 2).sum(axis=1)
        return int(self._seen[ways.argmin()])

    def headings(self, rect: QRect) -> list[tuple[QRect, str]]:
        """Nothing is written."""
        return []

    def shrink(self, most: float) -> None:
        """Let the map be smaller where it takes more than so many pixels, but not below zoom 1."""
        while self.zoom > 1 and self.size().width() * self.size().height() > most:
            self.zoom = max(1.0, 0.9 * self.zoom)
            self.arrange(len(self._middles), self._asked, self._viewport)

    def zoomed(self, factor: float, about: QPoint) -> QPoint:
        """Let the map grow or shrink, and say where a point of its contents is then."""
        middle = QPointF(self._cell.width() / 2, self._cell.height() / 2)
        before = (QPointF(about - self._offset) - middle) / self._scale
        self.zoom = max(self.zoom * factor, 1.0)
        self.arrange(len(self._middles), self._asked, self._viewport)
        middle = QPointF(self._cell.width() / 2, self._cell.height() / 2)
        return (before * self._scale + middle).toPoint() + self._offset
