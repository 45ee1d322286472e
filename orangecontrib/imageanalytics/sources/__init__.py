"""References (paths, addresses, data URIs, bytes, pictures), and the files behind them."""

from orangecontrib.imageanalytics.sources.references import (
    Content,
    LocalFile,
    Picture,
    Source,
    Web,
    content_hash,
    file_url_path,
    picture_hash,
    resolve,
)
from orangecontrib.imageanalytics.sources.regular_file import MAX_FILE_SIZE, read_file, shown
from orangecontrib.imageanalytics.sources.relative import finder, is_relative, set_lost_apart

__all__ = [
    "MAX_FILE_SIZE",
    "Content",
    "LocalFile",
    "Picture",
    "Source",
    "Web",
    "content_hash",
    "file_url_path",
    "finder",
    "is_relative",
    "picture_hash",
    "read_file",
    "resolve",
    "set_lost_apart",
    "shown",
]
