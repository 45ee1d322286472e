"""Runs jobs image by image, in isolated processes or on a cluster, and survives what images do."""

from orangecontrib.imageanalytics.engine import machine
from orangecontrib.imageanalytics.engine.cluster import own_engine
from orangecontrib.imageanalytics.engine.engine import DEADLINE, Engine
from orangecontrib.imageanalytics.engine.worker import hash_file

__all__ = ["DEADLINE", "Engine", "hash_file", "machine", "own_engine"]
