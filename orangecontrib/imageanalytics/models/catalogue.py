"""Every model, as one literal each, in the order the widget shows them."""

from __future__ import annotations

from orangecontrib.imageanalytics.model_file.weights import WEIGHTS
from orangecontrib.imageanalytics.models.model import Download, HubFile, Kind, Model, Product
from orangecontrib.imageanalytics.models.recipes import (
    CLIP_MEAN,
    CLIP_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    MAIN,
    InceptionV3,
    OnnxImages,
    OnnxTexts,
    Pixels,
    Pooling,
    Recipe,
    Vgg,
)

__all__ = ["DEFAULT", "MODELS", "TEXT_NETWORK", "TOKENIZER", "WEIGHTS", "Model"]

#: The model used when none is named: it runs on the user's computer.
DEFAULT = "squeezenet"

#: The ends of the names of the files by which a model understands words, beside its `.onnx`.
TEXT_NETWORK, TOKENIZER = ".text.onnx", ".tokenizer.json"

_IMAGENET = "ImageNet (ILSVRC 2012): 1.28 million photos of 1000 kinds of objects"
_ON_THE_SERVER = "not distributed here; the licence of the server's copy is not stated"

_VGG = (
    "Simonyan and Zisserman (2015), Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition, ICLR, arXiv:1409.1556"
)
_INCEPTION = (
    "Szegedy et al. (2016), Rethinking the Inception Architecture for Computer Vision, CVPR, "
    "arXiv:1512.00567"
)


def _product(source: HubFile, recipe: Recipe | None, ending: str = ".onnx") -> Product:
    return Product(ending, {MAIN: source}, recipe)


MODELS: dict[str, Model] = {
    model.id: model
    for model in (
        Model(
            id="squeezenet",
            title="SqueezeNet",
            description="A small and fast network for photos of everyday things: "
            "AlexNet's accuracy on ImageNet with fifty times fewer parameters.",
            input_size=(227, 227),
            dimension=1000,
            layer="flatten10 (the pooled class activations, before softmax)",
            trained_on=_IMAGENET,
            licence="BSD-2-Clause",
            citation="Iandola et al. (2016), SqueezeNet: AlexNet-level accuracy with 50x fewer "
            "parameters and <0.5MB model size, arXiv:1602.07360 (version 1.1 of the network)",
            kind=Kind.BUNDLED,
            milliseconds=5.4,
            weights=WEIGHTS / "squeezenet.onnx",
        ),
        Model(
            id="efficientnet-lite0",
            title="EfficientNet-Lite0",
            description="A newer network for photos of everyday things, about as fast as "
            "SqueezeNet; classifiers make a sixth to a third fewer mistakes on its embeddings. "
            "The one to start with.",
            input_size=(224, 224),
            dimension=1280,
            layer="the pooled activations before the classifier",
            trained_on=_IMAGENET,
            licence="Apache-2.0",
            citation="Tan and Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional "
            "Neural Networks, ICML, arXiv:1905.11946 (the variant EfficientNet-Lite0)",
            kind=Kind.BUNDLED,
            milliseconds=7.7,
            weights=WEIGHTS / "efficientnet-lite0.onnx",
        ),
        Model(
            id="efficientnet-lite2",
            title="EfficientNet-Lite2",
            description="EfficientNet-Lite0's larger sibling: takes twice as long, and classifiers "
            "make fewer mistakes on its embeddings of photos. For when each mistake counts.",
            input_size=(260, 260),
            dimension=1280,
            layer="the pooled activations before the classifier",
            trained_on=_IMAGENET,
            licence="Apache-2.0",
            citation="Tan and Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional "
            "Neural Networks, ICML, arXiv:1905.11946 (the variant EfficientNet-Lite2)",
            kind=Kind.BUNDLED,
            milliseconds=16,
            weights=WEIGHTS / "efficientnet-lite2.onnx",
        ),
        # Those to download. Repositories, commits, names, sizes (to the last MB that is shown) and
        # SHA-256 are what the pages of huggingface.co said in the copies that could be read of
        # them in November 2026; what could not be read is left out, and said.
        Model(
            id="mobilenetv4-medium",
            title="MobileNetV4 medium",
            description="A new, quick network for photos of everyday things: the accuracy of much "
            "larger ones.",
            input_size=(256, 256),
            dimension=1280,
            layer="the activations before the classifier",
            trained_on=_IMAGENET,
            licence="Apache-2.0",
            citation="Qin et al. (2024), MobileNetV4: Universal Models for the Mobile Ecosystem, "
            "ECCV, arXiv:2404.10518 (trained by Wightman for timm)",
            kind=Kind.DOWNLOADABLE,
            milliseconds=15,
            download=Download(
                (
                    # Neither size (that of 9.7 million parameters is given) nor SHA-256 was seen.
                    _product(
                        HubFile(
                            "onnx-community/mobilenetv4_conv_medium.e500_r256_in1k",
                            "onnx/model.onnx",
                            "46483fa826d2e19a097d182e35d1988f51c2180b",
                            39_000_000,
                        ),
                        OnnxImages(Pixels((256, 256), IMAGENET_MEAN, IMAGENET_STD), dimension=1280),
                    ),
                )
            ),
        ),
        Model(
            id="dinov2-small",
            title="DINOv2 small",
            description="A transformer that learned from photos alone, without any names of "
            "things; for finding and grouping what looks alike, photos and drawings too.",
            input_size=(224, 224),
            dimension=384,
            layer="the class token",
            trained_on="LVD-142M: 142 million photos without labels",
            licence="Apache-2.0",
            citation="Oquab et al. (2023), DINOv2: Learning Robust Visual Features without "
            "Supervision, arXiv:2304.07193",
            kind=Kind.DOWNLOADABLE,
            milliseconds=95,
            download=Download(
                (
                    _product(
                        HubFile(
                            "Xenova/dinov2-small",
                            "onnx/model.onnx",
                            "560a572cedd01ab59cf1a614c2d9673397b65ef2",
                            88_500_000,
                            "83141175ec78b4ff9a2bb58a4c7c264ba0054d1c2e122e5a8114b79a8d4179ea",
                        ),
                        OnnxImages(
                            Pixels((224, 224), IMAGENET_MEAN, IMAGENET_STD),
                            tensor="last_hidden_state",
                            pooling=Pooling.CLASS_TOKEN,
                            dimension=384,
                        ),
                    ),
                )
            ),
        ),
        Model(
            id="clip-vit-b-32",
            title="CLIP ViT-B/32",
            description="A transformer that learned from pictures with captions; for pictures of "
            "all kinds, and for finding them by words. Weak at counting and at fine differences.",
            input_size=(224, 224),
            dimension=512,
            layer="the projection into the space of pictures and words",
            trained_on="400 million pictures with captions from the internet",
            licence="MIT",
            citation="Radford et al. (2021), Learning Transferable Visual Models From Natural "
            "Language Supervision, ICML, arXiv:2103.00020",
            kind=Kind.DOWNLOADABLE,
            milliseconds=75,
            download=Download(
                (
                    _product(
                        HubFile(
                            "Qdrant/clip-ViT-B-32-vision",
                            "model.onnx",
                            "a636590e595dbbd798647c9dd4550d5652fba969",
                            352_000_000,
                            "c68d3d9a200ddd2a8c8a5510b576d4c94d1ae383bf8b36dd8c084f94e1fb4d63",
                        ),
                        OnnxImages(
                            Pixels((224, 224), CLIP_MEAN, CLIP_STD),
                            tensor="image_embeds",
                            dimension=512,
                        ),
                    ),
                    _product(
                        HubFile(
                            "Qdrant/clip-ViT-B-32-text",
                            "model.onnx",
                            "48ca1db27cb4063eb311ec2aa7f087a808112876",
                            254_000_000,
                            "4dbe762b11e36488304471e439cde89da053ad7acaddbf9e096745d142ec8d8b",
                        ),
                        OnnxTexts("text_embeds", 512),
                        TEXT_NETWORK,
                    ),
                    _product(
                        HubFile(
                            "Qdrant/clip-ViT-B-32-text",
                            "tokenizer.json",
                            "48ca1db27cb4063eb311ec2aa7f087a808112876",
                            2_220_000,
                            "b68d571997a1f81bf521fb73806740ddb91e4ed6666cb6e996c066bb289cf55b",
                        ),
                        None,
                        TOKENIZER,
                    ),
                )
            ),
        ),
        Model(
            id="inception-v3-local",
            title="Inception v3 (torchvision)",
            description="Google's network for photos of everyday things, with torchvision's "
            "weights; its numbers differ from those of the server's copy.",
            input_size=(299, 299),
            dimension=2048,
            layer="the pooled activations before the classifier",
            trained_on=_IMAGENET,
            licence="Apache-2.0",
            citation=_INCEPTION,
            kind=Kind.DOWNLOADABLE,
            milliseconds=80,
            download=Download(
                (
                    # Its commit is 9506574; the page of the whole name was not seen.
                    _product(
                        HubFile(
                            "timm/inception_v3.tv_in1k",
                            "model.safetensors",
                            "main",
                            95_500_000,
                            "9c452c63a67fd03a38a78c401ba12d4be0e926df63c93403de3a29f6df20fefb",
                        ),
                        InceptionV3(),
                    ),
                )
            ),
        ),
        Model(
            id="vgg16-local",
            title="VGG-16 (torchvision)",
            description="A plain network of 16 layers for photos of everyday things, with "
            "torchvision's weights; large and slow.",
            input_size=(224, 224),
            dimension=4096,
            layer="fc7 after ReLU",
            trained_on=_IMAGENET,
            licence="BSD-3-Clause",
            citation=_VGG,
            kind=Kind.DOWNLOADABLE,
            milliseconds=190,
            download=Download(
                (
                    _product(
                        HubFile(
                            "timm/vgg16.tv_in1k",
                            "model.safetensors",
                            "3394518cba29aee1ea82a49d971be90d2dd1dab7",
                            553_000_000,
                            "57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
                        ),
                        Vgg(16),
                    ),
                )
            ),
        ),
        Model(
            id="vgg19-local",
            title="VGG-19 (torchvision)",
            description="A plain network of 19 layers for photos of everyday things, with "
            "torchvision's weights; large and slow.",
            input_size=(224, 224),
            dimension=4096,
            layer="fc7 after ReLU",
            trained_on=_IMAGENET,
            licence="BSD-3-Clause",
            citation=_VGG,
            kind=Kind.DOWNLOADABLE,
            milliseconds=260,
            download=Download(
                (
                    _product(
                        HubFile(
                            "timm/vgg19.tv_in1k",
                            "model.safetensors",
                            "128d4708565b3a414bcbb9bbad440b2fe37b9f18",
                            575_000_000,
                            "11aea017b543ff59233749d8f1cf544cda749378f5790d2fedab841fb86b7669",
                        ),
                        Vgg(19),
                    ),
                )
            ),
        ),
        Model(
            id="inception-v3",
            title="Inception v3",
            description="Google's network for photos of everyday things; a good first choice "
            "among the server's models.",
            input_size=(299, 299),
            dimension=2048,
            layer="the pooled activations before the classifier",
            trained_on=_IMAGENET,
            licence=_ON_THE_SERVER,
            citation=_INCEPTION,
            kind=Kind.SERVER,
        ),
        Model(
            id="vgg16",
            title="VGG-16",
            description="A plain network of 16 layers for photos of everyday things.",
            input_size=(224, 224),
            dimension=4096,
            layer="fc7",
            trained_on=_IMAGENET,
            licence=_ON_THE_SERVER,
            citation=_VGG,
            kind=Kind.SERVER,
        ),
        Model(
            id="vgg19",
            title="VGG-19",
            description="A plain network of 19 layers for photos of everyday things.",
            input_size=(224, 224),
            dimension=4096,
            layer="fc7",
            trained_on=_IMAGENET,
            licence=_ON_THE_SERVER,
            citation=_VGG,
            kind=Kind.SERVER,
        ),
        Model(
            id="painters",
            title="Painters",
            description="A network that learned to tell painters by their paintings; "
            "for artwork and artistic style.",
            input_size=(256, 256),
            dimension=2048,
            layer="the activations before the classifier",
            trained_on="Painter by Numbers (Kaggle 2016): 79 433 paintings by 1584 painters",
            licence=_ON_THE_SERVER,
            citation="Ilenič (2016), winning entry of Kaggle's competition Painter by Numbers",
            kind=Kind.SERVER,
        ),
        Model(
            id="deeploc",
            title="DeepLoc",
            description="A network for fluorescence microscopy of yeast cells: it learned where "
            "in the cell a protein is.",
            input_size=(64, 64),
            dimension=512,
            layer="fc_2",
            trained_on="21 882 images of single yeast cells, 15 places in the cell "
            "(Chong et al. 2015)",
            licence=_ON_THE_SERVER,
            citation="Kraus et al. (2017), Automated analysis of high-content microscopy data with "
            "deep learning, Molecular Systems Biology 13:924",
            kind=Kind.SERVER,
        ),
        Model(
            id="openface",
            title="openface",
            description="A network for faces, for workflows that have used it; the public server "
            "may no longer offer it.",
            input_size=(256, 256),
            dimension=128,
            layer="the face's coordinates (the last layer)",
            trained_on="FaceScrub and CASIA-WebFace: 500 000 photos of faces",
            licence="Apache-2.0",
            citation="Amos, Ludwiczuk and Satyanarayanan (2016), OpenFace: A general-purpose face "
            "recognition library with mobile applications, CMU-CS-16-118",
            kind=Kind.SERVER,
        ),
    )
}
