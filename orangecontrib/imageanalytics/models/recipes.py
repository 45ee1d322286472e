"""How a model's ONNX file is made of what its authors published: one small dataclass per way.

Every file that comes out is of one kind: `uint8 [N, H, W, 3]` RGB in, preprocessing as nodes of the
graph, `float32 [N, D]` out. `models.building.build` makes it; here nothing is imported, so that the
catalogue, which holds the recipes, stays small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Triple = tuple[float, float, float]

#: The key of the main file among those that a recipe is made of. Files beside it (an ONNX file's
#: weights, a checkpoint's data) have as key the name that the main file calls them.
MAIN = "main"

#: What is known of a model, by the words that become the file's metadata: id, title, licence...
Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a network takes: `(x - mean) / std`, where x are the pixels from 0 to 1.

    Attributes
    ----------
    size : tuple of int
        Height and width that images are squashed to.
    mean, std : tuple of three float
        In the order of the network's channels, on the scale 0-1.
    bgr : bool
        Whether the network wants blue first.
    """

    size: tuple[int, int]
    mean: Triple
    std: Triple
    bgr: bool = False


#: timm's constants IMAGENET_DEFAULT_MEAN and IMAGENET_DEFAULT_STD.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: timm's constants IMAGENET_INCEPTION_MEAN and IMAGENET_INCEPTION_STD: pixels from -1 to 1.
HALF = (0.5, 0.5, 0.5)
#: `preprocessor_config.json` of openai/clip-vit-base-patch32.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Vgg:
    """VGG of safetensors in timm's layout (`timm/vgg16.tv_in1k`); fc7 after its ReLU, 4096 numbers.

    Attributes
    ----------
    depth : 16 or 19
        The number of layers with weights.
    pixels : Pixels
        What it takes; the sides are multiples of 32.
    channels : tuple of int
        Of each of the five blocks.
    dimension : int
        The width of fc6 and fc7.
    """

    depth: Literal[16, 19]
    pixels: Pixels = Pixels((224, 224), IMAGENET_MEAN, IMAGENET_STD)
    channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    dimension: int = 4096


@dataclass(frozen=True, slots=True)
class InceptionV3:
    """Inception v3; the pooled activations before the classifier, 2048 numbers.

    Attributes
    ----------
    version : str
        "timm" of safetensors in timm's layout (`timm/inception_v3.tv_in1k`); "2015-12-05" of the
        state dict that pytorch-fid publishes of Google's first release, whose pools differ.
    """

    version: Literal["timm", "2015-12-05"] = "timm"
    pixels: Pixels = Pixels((299, 299), HALF, HALF)
    dimension: int = 2048


#: Its graph takes 128 from pixels from 0 to 255 and divides by 128 (nodes `Sub` and `Mul` of
#: `classify_image_graph_def.pb`; `input_mean` and `input_std` in TensorFlow's retrain.py).
_BY_128 = (128 / 255, 128 / 255, 128 / 255)
INCEPTION_2015 = InceptionV3("2015-12-05", Pixels((299, 299), _BY_128, _BY_128))


#: The key of a batch of paintings, a file of NumPy's: uint8 [N, 256, 256, 3] RGB.
BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Painters:
    """The winner of Painter by Numbers, of its author's Keras 1 file; 2048 numbers.

    The author's network normalises a painting by the others in its batch (Keras 1's `mode=2`) and
    keeps no statistics: then a batch of paintings to take them from is needed too, under `BATCH`.

    Attributes
    ----------
    pixels : Pixels
        The mean and standard deviation of the training sample were never published; ImageNet's
        stand in for them. Most of the difference is undone by the first normalisation.
    blocks : tuple of tuple of int
        The channels of the convolutions before each pool.
    dimension : int
        The width of the dense layer.
    """

    pixels: Pixels = Pixels((256, 256), IMAGENET_MEAN, IMAGENET_STD)
    blocks: tuple[tuple[int, ...], ...] = (
        (16, 16),
        (32, 32, 32),
        (64, 64, 64),
        (128, 128, 128),
        (256, 256, 256),
    )
    dimension: int = 2048


@dataclass(frozen=True, slots=True)
class DeepLoc:
    """DeepLoc of its authors' TensorFlow 1 checkpoint; fc_2, 512 numbers.

    Attributes
    ----------
    size : tuple of int
        Height and width of a cell's image; its middle of 60 x 60 goes into the network.
    channels : tuple of int
        Of each of the eight convolutions.
    dimension : int
        The width of fc_1 and fc_2.
    """

    size: tuple[int, int] = (64, 64)
    channels: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 256, 256)
    dimension: int = 512


class Pooling(StrEnum):
    """How one vector is made of an inner tensor."""

    #: It is one already: [N, D], or [N, D, 1, 1].
    NONE = "none"
    #: The first token of [N, tokens, D].
    CLASS_TOKEN = "class token"
    #: The mean of all tokens of [N, tokens, D].
    MEAN_TOKEN = "mean of tokens"
    #: The mean over all places of [N, D, height, width].
    SPATIAL = "spatial mean"


@dataclass(frozen=True, slots=True)
class OnnxImages:
    """Any ONNX file that takes images as `float32 [N, 3, H, W]` or `[N, H, W, 3]`.

    Attributes
    ----------
    pixels : Pixels
        What it takes; the layout is found in the file.
    tensor : str, optional
        The output or inner tensor that the embedding is made of. None: what goes into the
        classifier, as `building.cutting` finds it.
    pooling : Pooling
        How the embedding is made of the tensor; passed over if `tensor` is None.
    dimension : int, optional
        Length of an embedding, to be checked; None if what comes out is right.
    """

    pixels: Pixels
    tensor: str | None = None
    pooling: Pooling = Pooling.NONE
    dimension: int | None = None


@dataclass(frozen=True, slots=True)
class OnnxTexts:
    """An ONNX file that takes texts as numbers of tokens, `int64 [N, tokens]`, and keeps doing so.

    Attributes
    ----------
    tensor : str
        The output that is the embedding of a text, `float32 [N, D]`.
    dimension : int
        Length of an embedding.
    """

    tensor: str
    dimension: int


Recipe = Vgg | InceptionV3 | Painters | DeepLoc | OnnxImages | OnnxTexts
