"""The hub that models come from: huggingface.co, or a mirror that the environment names.

`huggingface_hub` reads the same variable; it is not imported here, since it takes half a second.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.models.model import HubFile

#: The environment variable that names a mirror.
ENDPOINT_VARIABLE = "HF_ENDPOINT"

_HUGGING_FACE = "https://huggingface.co"


def hub_address() -> str:
    """The hub's address, without a slash at its end."""
    return (os.environ.get(ENDPOINT_VARIABLE) or _HUGGING_FACE).rstrip("/")


def hub_host() -> str:
    """The hub's name for people and for their consent: host, and port where one is named."""
    address = hub_address()
    return urlsplit(address).netloc.rpartition("@")[2] or address


def address_of(file: HubFile) -> str:
    """The address that a browser fetches a file from."""
    place = f"{file.repository}/resolve/{quote(file.revision, safe='')}/{quote(file.path)}"
    return f"{hub_address()}/{place}"
