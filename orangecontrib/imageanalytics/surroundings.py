"""What a column of an embedding finds where it is computed: consent, and somebody who waits.

In a script that is this file alone. Orange's window puts its own in this place, which asks what
the user has agreed to on this computer, and stays alive meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from orangecontrib.imageanalytics.outcome import ComputedColumnError

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.web.reach import Reach

T = TypeVar("T")

#: Told the finished share of the images, from 0 to 1; what it raises ends the work.
Progress = Callable[[float], object]
Work = Callable[[Progress], T]


class Surroundings:
    """A script's: images go only to servers that the script itself has chosen.

    Attributes
    ----------
    provider : str
        What computes local models: "cpu" or a kind of GPU.
    has_folder : bool
        Whether images are looked for in the working directory if their names say no folder.
    """

    provider: str = "cpu"
    has_folder: bool = True

    def __init__(self) -> None:
        self._chosen: dict[str, str | None] = {}

    def choose(self, address: str, token: str | None = None) -> None:
        """Note that this program has itself chosen a server to send images to.

        Parameters
        ----------
        address : str
            In its canonical form; see `server_address`.
        token : str, optional
            For that server; that of the environment variable otherwise.
        """
        self._chosen[address] = token

    def token_for(self, address: str) -> str | None:
        """Give the token for a server, if images may be sent there.

        Raises
        ------
        ComputedColumnError
            If they may not: what is unpickled never decides on that.
        """
        from orangecontrib.imageanalytics.server_client.address import TOKEN_VARIABLE, server_name

        if address not in self._chosen:
            raise ComputedColumnError(
                f"The pictures would be sent to {server_name(address)}, and nobody has agreed to "
                "that here. In Orange, agree in the widget Image Embedding; in a script, embed "
                "with ImageEmbedder first, which chooses the server."
            )
        return self._chosen[address] or os.environ.get(TOKEN_VARIABLE)

    def reach(self) -> Reach | None:
        """Say where web images may be fetched from; None leaves it to a script's own rules."""
        return None

    def wait_for(self, work: Work[T], count: int, title: str) -> T:
        """Return what `work` returns, or raise what it raises.

        Parameters
        ----------
        work : callable
            Takes a callable that is to be told the progress.
        count : int
            The number of pictures.
        title : str
            The model's name for people.
        """
        return work(lambda fraction: None)


_current = [Surroundings()]


def surroundings() -> Surroundings:
    """Give those of this process."""
    return _current[0]


def surround(by: Surroundings) -> None:
    """Put others in their place."""
    _current[0] = by
