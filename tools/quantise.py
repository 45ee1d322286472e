"""Makes an int8 variant of a bundled model, to see whether it has earned a place.

    python tools/quantise.py MODEL FILE [--full-range]

Static, as QDQ, per channel; calibrated on the example photos and on crops, mirror images and darker
and harder variants of them. Weights have 7 bits: the instruction that AVX2 has for 8 adds two
products in 16 bits and saturates, so that processors would disagree; ``--full-range`` shows it.

None is bundled: see "What was tried" in doc/profile.md. Printed is the cosine to the bundled model
on the example photos, and to the same variant computed in float32, which nothing saturates.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from exported import report
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image, ImageEnhance, ImageOps

from orangecontrib.imageanalytics.models.catalogue import MODELS

PHOTOS = sorted((Path(__file__).parents[1] / "examples" / "photos").rglob("*.png"))

#: The mean at the end stays in float32: the embedding would have 256 levels.
OPERATORS = ["Conv", "Add", "Concat", "MaxPool", "Clip", "Relu"]

#: Shares of a photo's height and width that are seen.
CROPS = (1, 0.7, 0.5, 0.35)


def squashed(path: Path, size: tuple[int, int], share: float = 1) -> Image.Image:
    """The middle of a photo, on white, squashed to the model's size."""
    image = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    width, height = image.size
    box = tuple(side * (1 + sign * share) / 2 for sign in (-1, 1) for side in (width, height))
    return ground.convert("RGB").resize(size[::-1], Image.Resampling.LANCZOS, box)


def variants(size: tuple[int, int]) -> Iterator[Image.Image]:
    """What the ranges of the activations are measured on."""
    for path in PHOTOS:
        for share in CROPS:
            image = squashed(path, size, share)
            yield image
            yield ImageEnhance.Brightness(ImageOps.mirror(image)).enhance(0.6)
            yield ImageEnhance.Contrast(image).enhance(1.5)


class Calibration(CalibrationDataReader):
    """Gives the variants one by one."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._images = variants(size)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next one, as the model takes it."""
        image = next(self._images, None)
        return None if image is None else {"image": np.asarray(image)[None]}


def embeddings(path: Path, size: tuple[int, int], *, fused: bool = True) -> NDArray[np.float32]:
    """Those of the example photos, of length 1; not fused, all is computed in float32."""
    options = onnxruntime.SessionOptions()
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    images = [np.asarray(squashed(photo, size))[None] for photo in PHOTOS]
    vectors = np.concatenate([session.run(None, {"image": image})[0] for image in images])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    """Write the file and print how far it is from the bundled model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=[id_ for id_, model in MODELS.items() if model.weights])
    parser.add_argument("file", type=Path)
    parser.add_argument("--full-range", action="store_true", help="weights of 8 bits")
    arguments = parser.parse_args()

    model = MODELS[arguments.model]
    assert model.weights is not None
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(model.weights), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            prepared,
            arguments.file,
            Calibration(model.input_size),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not arguments.full_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=OPERATORS,
        )
    report(arguments.file)
    quantised = embeddings(arguments.file, model.input_size)
    for what, others in (
        ("the bundled model", embeddings(model.weights, model.input_size)),
        ("float32 arithmetic", embeddings(arguments.file, model.input_size, fused=False)),
    ):
        cosines = (quantised * others).sum(1)
        print(f"cosine to {what}: mean {cosines.mean():.5f}, least {cosines.min():.5f}")


if __name__ == "__main__":
    main()
