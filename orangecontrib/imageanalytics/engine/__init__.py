"""Runs jobs image by image, in isolated processes or on a cluster, and survives what images do."""

from orangecontrib.imageanalytics.engine import machine
from orangecontrib.imageanalytics.engine.engine import Engine
from orangecontrib.imageanalytics.engine.worker import Job

__all__ = ["Engine", "Job", "machine"]
