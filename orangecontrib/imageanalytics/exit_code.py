"""How the commands end: what went wrong in words, and a code for the shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from orangecontrib.imageanalytics.outcome import (
    EmbeddingError,
    ServerSettingError,
    UnknownModelError,
)


def exit_code_of(
    command: Callable[[], int], parser: argparse.ArgumentParser, what_is_kept: str
) -> int:
    """Run a command.

    Parameters
    ----------
    command : callable
        Gives its exit code.
    parser : ArgumentParser
        Of its arguments.
    what_is_kept : str
        Told to a user who stops it.

    Returns
    -------
    int
        The command's, 1 when it could not be done, 130 when it was stopped, as shells have it.

    Raises
    ------
    SystemExit
        With 2 when the arguments are wrong.
    """
    try:
        return command()
    except (UnknownModelError, ServerSettingError) as error:
        parser.error(str(error))
    except EmbeddingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; {what_is_kept}", file=sys.stderr)
        return 130
