"""Millions of images, on this computer or on a Dask cluster, into a Parquet dataset.

`inputs` names the images, `addresses` opens what is not a file of this computer, `dataset` is what
is written, `shard` is what one worker does, `run` decides which shards are to be done, and where;
`former` keeps the vectors of other images from being replaced.
pyarrow, fsspec and distributed are imported where they are used: they are of an extra.
"""

from orangecontrib.imageanalytics.batch.dataset import Dataset, Summary
from orangecontrib.imageanalytics.batch.run import Run, Totals
from orangecontrib.imageanalytics.batch.shard import Shard

__all__ = ["Dataset", "Run", "Shard", "Summary", "Totals"]
