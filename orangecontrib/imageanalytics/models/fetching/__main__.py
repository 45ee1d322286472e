"""Fetches and makes what is ordered on standard input; ends when that is closed.

Each line that it writes is a JSON object: {"words", "done", "total"} on the way, and at the end
{"finished": true} or {"error": the class, "text": ...}.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from typing import TextIO

from orangecontrib.imageanalytics.models.fetching import Order
from orangecontrib.imageanalytics.models.fetching.making import carry_out
from orangecontrib.imageanalytics.outcome import EmbeddingError


def main() -> None:
    """Carry out one order."""
    out = _own_output()
    order: Order = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(**words: object) -> None:
        out.write(json.dumps(words) + "\n")
        out.flush()

    try:
        carry_out(order, lambda step: say(words=step.words, done=step.done, total=step.total))
    except EmbeddingError as error:
        say(error=type(error).__name__, text=str(error))
    else:
        say(finished=True)


def _own_output() -> TextIO:
    """Keep standard output for ourselves: what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return out


def _end_with_parent() -> None:
    """End when whoever ordered has gone, however suddenly."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
