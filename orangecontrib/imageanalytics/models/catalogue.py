"""Every model, as one literal each, in the order the widget shows them."""

from __future__ import annotations

from orangecontrib.imageanalytics.model_file.weights import WEIGHTS
from orangecontrib.imageanalytics.models.model import Kind, Model

__all__ = ["DEFAULT", "MODELS", "WEIGHTS", "Model"]

#: The model used when none is named: it runs on the user's computer.
DEFAULT = "squeezenet"

_IMAGENET = "ImageNet (ILSVRC 2012): 1.28 million photos of 1000 kinds of objects"
_ON_THE_SERVER = "not distributed here; the licence of the server's copy is not stated"


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
            weights=WEIGHTS / "squeezenet.onnx",
        ),
        Model(
            id="efficientnet-lite0",
            title="EfficientNet-Lite0",
            description="A newer network for photos of everyday things, about as fast as "
            "SqueezeNet; classifiers make a sixth to a third fewer mistakes on its embeddings.",
            input_size=(224, 224),
            dimension=1280,
            layer="the pooled activations before the classifier",
            trained_on=_IMAGENET,
            licence="Apache-2.0",
            citation="Tan and Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional "
            "Neural Networks, ICML, arXiv:1905.11946 (the variant EfficientNet-Lite0)",
            kind=Kind.BUNDLED,
            weights=WEIGHTS / "efficientnet-lite0.onnx",
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
            citation="Szegedy et al. (2016), Rethinking the Inception Architecture for Computer "
            "Vision, CVPR, arXiv:1512.00567",
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
            citation="Simonyan and Zisserman (2015), Very Deep Convolutional Networks for "
            "Large-Scale Image Recognition, ICLR, arXiv:1409.1556",
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
            citation="Simonyan and Zisserman (2015), Very Deep Convolutional Networks for "
            "Large-Scale Image Recognition, ICLR, arXiv:1409.1556",
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
