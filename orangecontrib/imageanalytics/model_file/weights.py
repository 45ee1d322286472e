"""Where the bundled models are."""

from pathlib import Path

#: The folder of the package that holds them.
WEIGHTS = Path(__file__).parent.parent / "weights"
