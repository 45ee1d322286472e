"""The Open Inference Protocol, version 2 (KServe v2).

    GET  {server}/v2                           whether it takes binary tensors
    GET  {server}/v2/models/{model}            the model's input and output
    GET  {server}/v2/models/{model}/config     of Triton: the largest batch, and parameters
    POST {server}/v2/models/{model}/infer
    Content-Type: application/octet-stream
    Inference-Header-Content-Length: {length of the JSON}

with a JSON header and behind it the pixels as they are; a server without the binary extension
gets them as numbers in the JSON, four times as long. NVIDIA Triton, MLServer, KServe and
OpenVINO's model server speak it (github.com/kserve/open-inference-protocol; the binary extension:
Triton's protocol/extension_binary_data.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orangecontrib.imageanalytics import decoding
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.server_client.address import PREFIX
from orangecontrib.imageanalytics.server_client.answer import BadAnswer
from orangecontrib.imageanalytics.server_client.jobs import PixelsJob
from orangecontrib.imageanalytics.server_client.retry import Failure
from orangecontrib.imageanalytics.server_client.speech import Answer, Ask, Request
from orangecontrib.imageanalytics.web.fault import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The extension that lets tensors stand behind the JSON.
_BINARY = "binary_tensor_data"
_HEADER_LENGTH = "Inference-Header-Content-Length"

#: Images in a request where the model takes any number and names no largest one; and at most:
#: 32 of 299 x 299 pixels are 8.6 MB.
_USUAL_BATCH, _LARGEST_BATCH = 8, 32


@dataclass(frozen=True, slots=True)
class Scaling:
    """How colours are scaled for a model that takes floats: ``(x / range - mean) / std``.

    Attributes
    ----------
    mean, std : tuple of 3 float
        By channel, in the order of the channels.
    range : float
        What 0 to 255 are divided by first: 255 for means between 0 and 1.
    is_bgr : bool
        Whether the model wants blue first.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    range: float = 255.0
    is_bgr: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Scaling | None:
        """Read it from a model's parameters; None if they do not say it.

        Raises
        ------
        ValueError
            If they hold something else than numbers.
        """
        if not {"mean", "std"} <= set(parameters):
            return None
        mean, std = (
            tuple(float(part) for part in parameters[name].strip("[] ").split(","))
            for name in ("mean", "std")
        )
        scaling = cls(
            mean,
            std,
            float(parameters.get("range", "255")),
            parameters.get("channel_order", "RGB").upper() == "BGR",
        )
        are_finite = all(map(math.isfinite, (*mean, *std, scaling.range)))
        if not are_finite or len(mean) != 3 or len(std) != 3 or not all(std) or not scaling.range:
            raise ValueError(
                "mean and std must be three numbers each, all finite, std and range not 0"
            )
        return scaling


@dataclass(frozen=True, slots=True)
class Tensors:
    """What a server says of its model.

    Attributes
    ----------
    input, output : str
        Names of the images' and the embeddings' tensor.
    datatype : str
        "UINT8", or "FP32" for scaled colours.
    is_planar : bool
        Whether channels come first: [N, 3, H, W].
    has_batch : bool
        Whether the first dimension counts images.
    most_at_once : int
        Images in a request, at most.
    scaling : Scaling, optional
        For "FP32".
    """

    input: str
    output: str
    datatype: str
    is_planar: bool
    has_batch: bool
    most_at_once: int
    scaling: Scaling | None = None


class CannotUse(Exception):
    """The server's model takes or gives something else; the text says what."""


class KServe:
    """Speaks KServe v2 with a server about one model; see `Speech`.

    Parameters
    ----------
    address : str
        As `server_address` gives it, beginning with ``kserve+``.
    model : str
        Its name on the server.
    fit : Squash
        The size of its images.
    dimension : int
        Length of an embedding.
    headers : dict
        What is said with every request, such as a token.
    """

    def __init__(
        self,
        address: str,
        model: str,
        fit: Squash,
        dimension: int,
        headers: dict[str, str],
    ) -> None:
        height, width = fit.height, fit.width
        self.address = address.removeprefix(PREFIX)
        self.headers = headers
        self.fingerprint = f"{address} {model} {width}x{height} pixels {decoding.VERSION}"
        self.job = PixelsJob(fit)
        self._size = height, width
        self._dimension = dimension
        self._url = f"{self.address}v2/models/{quote(model, safe='')}"
        self._tensors: Tensors | None = None
        self._is_binary = False

    @property
    def most_at_once(self) -> int:
        """How many images one request may hold."""
        return 1 if self._tensors is None else self._tensors.most_at_once

    async def prepare(self, ask: Ask) -> Failure | None:
        """Ask for the model's input and output, and of Triton for its configuration."""
        server = await ask(Request(f"{self.address}v2"))
        if isinstance(server, Failure):
            return server
        metadata = await ask(Request(self._url))
        if isinstance(metadata, Failure):
            return metadata
        config = await ask(Request(f"{self._url}/config"))
        if isinstance(config, Failure):
            if config.kind.may_pass:
                return config
            config = Answer(b"{}")  # only Triton has it
        try:
            extensions = _json(server.body).get("extensions")
            self._is_binary = isinstance(extensions, list) and _BINARY in extensions
            self._tensors = understand(
                _json(metadata.body), _json(config.body), self._size, self._dimension
            )
        except BadAnswer as error:
            return Failure(Kind.FAULT, str(error))
        except CannotUse as error:
            advice = "Check the model's configuration on the server, or choose another model."
            return Failure(Kind.REFUSED, str(error), advice)
        return None

    def request(self, images: Sequence[bytes], attempt: int) -> Request:
        """Compose a request with the pixels of some images."""
        tensors = self._known()
        values = _as_wanted(b"".join(images), len(images), self._size, tensors)
        tensor: dict[str, Any] = {
            "name": tensors.input,
            "shape": list(values.shape if tensors.has_batch else values.shape[1:]),
            "datatype": tensors.datatype,
        }
        output: dict[str, Any] = {"name": tensors.output}
        if not self._is_binary:
            tensor["data"] = values.ravel().tolist()
            body = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
            return Request(f"{self._url}/infer", body, {"Content-Type": "application/json"})
        content = values.tobytes()
        tensor["parameters"] = {"binary_data_size": len(content)}
        output["parameters"] = {"binary_data": True}
        header = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
        return Request(
            f"{self._url}/infer",
            header + content,
            {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(header))},
        )

    def read(self, answer: Answer, count: int) -> list[NDArray[np.float32]]:
        """Read embeddings, from behind the JSON header or in it.

        Raises
        ------
        BadAnswer
            If the answer holds something else.
        """
        import numpy as np

        length = answer.headers.get(_HEADER_LENGTH, "")
        # more digits than that are beyond any answer's end, and Python refuses to read thousands
        end = int(length[:20]) if length.isdecimal() else len(answer.body)
        outputs = _json(answer.body[:end]).get("outputs")
        tensor = _tensor(outputs, self._known().output, answer.body[end:])
        if tensor.size == 0 or tensor.size % count:
            raise BadAnswer(f"answered {tensor.size} numbers for {count} images")
        if not np.isfinite(tensor).all():
            raise BadAnswer("answered numbers that are not finite")
        return list(tensor.reshape(count, -1))

    def _known(self) -> Tensors:
        assert self._tensors is not None, "`prepare` comes first"
        return self._tensors


def understand(
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
    size: tuple[int, int],
    dimension: int,
) -> Tensors:
    """Find out how a model is used.

    Parameters
    ----------
    metadata, config : dict
        What the server says; the configuration is empty where there is none.
    size, dimension
        Of the model that is expected.

    Raises
    ------
    CannotUse
        If it takes no images of this size, or gives no embeddings of this length.
    """
    inputs, outputs = _described(metadata, "inputs"), _described(metadata, "outputs")
    if len(inputs) != 1:
        raise CannotUse(f"has a model with {len(inputs)} inputs, where one image is expected")
    name, datatype, shape = inputs[0]
    if datatype not in ("UINT8", "FP32"):
        raise CannotUse(f"has a model that takes {datatype}, where UINT8 or FP32 is expected")
    height, width = size
    layouts = {False: (height, width, 3), True: (3, height, width)}
    has_batch = len(shape) == 4
    planar = [
        is_planar for is_planar, layout in layouts.items() if _fits(shape[has_batch:], layout)
    ]
    if len(planar) != 1:
        raise CannotUse(
            f"has a model that takes images of shape {shape}, "
            f"where {height} x {width} pixels of 3 channels are expected"
        )
    vectors = [o for o in outputs if o[1] == "FP32" and o[2] and o[2][-1] in (dimension, -1)]
    exact = [output for output in vectors if output[2][-1] == dimension]
    if len(exact or vectors) != 1:
        raise CannotUse(
            f"has a model with {len(exact or vectors)} outputs of {dimension} numbers (FP32), "
            "where one is expected"
        )
    return Tensors(
        name,
        (exact or vectors)[0][0],
        datatype,
        planar[0],
        has_batch,
        _largest_batch(shape, config) if has_batch else 1,
        _scaling(metadata, config) if datatype == "FP32" else None,
    )


def _described(metadata: Mapping[str, Any], what: str) -> list[tuple[str, str, list[int]]]:
    listed = metadata.get(what)
    try:
        return [
            (str(one["name"]), str(one["datatype"]), [int(n) for n in one["shape"]])
            for one in listed or ()
        ]
    except (TypeError, KeyError, ValueError, OverflowError):
        raise BadAnswer(f"answered no description of the model's {what}") from None


def _fits(shape: Sequence[int], layout: Sequence[int]) -> bool:
    return len(shape) == len(layout) and all(
        have in (want, -1) for have, want in zip(shape, layout, strict=True)
    )


def _largest_batch(shape: Sequence[int], config: Mapping[str, Any]) -> int:
    if shape[0] != -1:
        return 1  # it takes this number and no other; ours is one
    largest = config.get("max_batch_size")
    if not isinstance(largest, int) or largest < 1:
        largest = _USUAL_BATCH
    return min(largest, _LARGEST_BATCH)


def _scaling(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> Scaling:
    parameters = {}
    for source in (metadata, config):
        listed = source.get("parameters")
        for key, value in listed.items() if isinstance(listed, dict) else ():
            text = value.get("string_value", "") if isinstance(value, dict) else value
            parameters[str(key)] = str(text)
    try:
        scaling = Scaling.of(parameters)
    except ValueError as error:
        raise CannotUse(f"has a model whose parameters cannot be read ({error})") from None
    if scaling is None:
        raise CannotUse(
            "has a model that takes FP32, and does not say how colours are scaled for it: the "
            "parameters mean and std are missing"
        )
    return scaling


def _as_wanted(content: bytes, count: int, size: tuple[int, int], tensors: Tensors) -> NDArray[Any]:
    """Bring the pixels of some images, RGB, into the type and order that the model takes."""
    import numpy as np

    values: NDArray[Any] = np.frombuffer(content, np.uint8).reshape(count, *size, 3)
    if scaling := tensors.scaling:
        if scaling.is_bgr:
            values = values[..., ::-1]
        mean, std = (np.array(part, np.float32) for part in (scaling.mean, scaling.std))
        values = (values.astype("<f4") / np.float32(scaling.range) - mean) / std
    return values.transpose(0, 3, 1, 2) if tensors.is_planar else values


def _json(body: bytes) -> dict[str, Any]:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer("answered something that is not JSON") from None
    if not isinstance(read, dict):
        raise BadAnswer("answered JSON that is no object")
    return read


def _tensor(outputs: Any, name: str, binary: bytes) -> NDArray[np.float32]:
    """Find one output: its numbers are in the JSON, or behind it with those of others."""
    import numpy as np

    at = 0
    try:
        for output in outputs:
            length = output.get("parameters", {}).get("binary_data_size")
            if output["name"] == name:
                if output["datatype"] != "FP32":
                    raise BadAnswer(f"answered numbers of the type {output['datatype']}")
                if length is not None:
                    content = binary[at : at + int(length)]
                    if len(content) != length or length % 4:
                        raise BadAnswer("answered less than it announced")
                    return np.frombuffer(content, "<f4").astype(np.float32)
                return _numbers(output["data"], math.prod(output["shape"]))
            at += int(length or 0)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise BadAnswer("answered something that is no tensor") from None
    raise BadAnswer("answered without an embedding")


def _numbers(data: Any, count: int) -> NDArray[np.float32]:
    import numpy as np

    with np.errstate(over="ignore"):
        numbers = np.array(data, np.float64).astype(np.float32).ravel()
    if len(numbers) != count:
        raise BadAnswer("answered another number of numbers than it announced")
    return numbers
