"""ONNX files that others exported become ours: cut, pooled and given pixels to take.

The files in `recorded/` were made by `tools/record_onnx.py` with PyTorch's exporters; what timm and
transformers give for the same pictures is in `expected.npz`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from orangecontrib.imageanalytics.model_file.onnx_file import read_onnx
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building import build
from orangecontrib.imageanalytics.models.recipes import MAIN, OnnxImages, Pixels, Pooling
from orangecontrib.imageanalytics.outcome import ModelFileError
from tests.models.building.networks import images

RECORDED = Path(__file__).parent / "recorded"
PIXELS = Pixels((32, 32), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

CLASSIFIERS = [
    *("resnet-matmul-open", "resnet-dynamo-open", "vit-gemm-open", "vit-matmul-static"),
    *("convnext-gemm-static", "mobilenet-gemm-open", "transformers-vit-open"),
]


def recorded(name: str) -> dict[str, Path]:
    """A file and what belongs to it."""
    files = {MAIN: RECORDED / f"{name}.onnx"}
    beside = RECORDED / f"{name}.onnx.data"
    return files | ({beside.name: beside} if beside.exists() else {})


def expected(name: str) -> NDArray:
    with np.load(RECORDED / "expected.npz") as file:
        return file[name]


def assert_gives(path: Path, vectors: NDArray) -> None:
    model = OnnxModel(path)
    found = model(images(32, 32)[: len(vectors)])
    assert model.dimension == vectors.shape[1]
    np.testing.assert_allclose(found, vectors, rtol=0, atol=1e-4 * np.abs(vectors).max())
    assert np.abs(vectors).max() > 0.1
    given = read_onnx(path).inputs[0]
    assert (given.type, given.shape[1:]) == ("uint8", (32, 32, 3))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_is_cut_before_its_last_layer(tmp_path: Path, name: str) -> None:
    build(OnnxImages(PIXELS), recorded(name), tmp_path / "x.onnx", {"title": name})
    assert_gives(tmp_path / "x.onnx", expected(name))
    content = read_onnx(tmp_path / "x.onnx")
    assert content.metadata == {"title": name}
    assert content.inputs[0].shape[0] == (1 if name.endswith("static") else "N")
    assert len(content.outputs) == 1 and not content.external


@pytest.mark.parametrize(
    ("name", "pooling", "dimension"),
    [("dinov2-class-token", Pooling.CLASS_TOKEN, 12), ("clip-images", Pooling.NONE, 7)],
)
def test_an_output_that_is_named_is_pooled_as_is_said(
    tmp_path: Path, name: str, pooling: Pooling, dimension: int
) -> None:
    recipe = OnnxImages(PIXELS, "y", pooling, dimension)
    build(recipe, recorded(name), tmp_path / "x.onnx")
    assert_gives(tmp_path / "x.onnx", expected(name))


# What cannot be exported at will is written by hand: one small graph, changed in one place.

KERNELS = np.random.default_rng(2).standard_normal((6, 3, 3, 3)).astype(np.float32)
CLASSES = np.random.default_rng(3).standard_normal((6, 4)).astype(np.float32)


def write(
    path: Path,
    nodes: list,
    *,
    shape: list | None = None,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
    domains: tuple[str, ...] = (),
    change=lambda proto: None,
) -> Path:
    """Write a graph of these nodes; `kernels`, `classes` and `classes1x1` are its weights."""
    half = kind == TensorProto.FLOAT16
    weights = {"kernels": KERNELS, "classes": CLASSES, "classes1x1": CLASSES.T[:, :, None, None]}
    constants = [
        numpy_helper.from_array(value.astype(np.float16) if half else value.copy(), name)
        for name, value in weights.items()
    ]
    constants.append(numpy_helper.from_array(np.array([0, 6]), "flat_shape"))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape or ["N", 3, 32, 32])],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        constants,
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    proto = helper.make_model(graph, opset_imports=imports, ir_version=8)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def node(operator: str, *inputs: str, to: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [to], **attributes)


CONV = node("Conv", "x", "kernels", to="maps", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
MEAN = node("GlobalAveragePool", "maps", to="mean")
FLAT = node("Reshape", "mean", "flat_shape", to="flat")
DENSE = node("MatMul", "flat", "classes", to="y")
GOOD = [CONV, MEAN, FLAT, DENSE]


def maps(pixels: NDArray[np.uint8]) -> NDArray:
    """What the convolution gives."""
    from tests.models.building import reference

    return reference.conv(reference.prepared(pixels, PIXELS.mean, PIXELS.std), KERNELS, pad=(1, 1))


MEANS = maps(images(32, 32)).mean((2, 3))


BY_CONV = {"kernel_shape": [1, 1]}
FORMS = {
    "MatMul": GOOD,
    "softmax": [
        *GOOD[:3],
        node("MatMul", "flat", "classes", to="z"),
        node("Softmax", "z", to="y"),
    ],
    "1 x 1 after the pool": [
        *GOOD[:2],
        node("Conv", "mean", "classes1x1", to="z", **BY_CONV),
        node("Flatten", "z", to="y"),
    ],
    "1 x 1 before the pool": [
        CONV,
        node("Conv", "maps", "classes1x1", to="z", **BY_CONV),
        node("GlobalAveragePool", "z", to="mean"),
        node("Flatten", "mean", to="y"),
    ],
    "the mean of two": [
        *GOOD[:3],
        node("MatMul", "flat", "classes", to="one"),
        node("MatMul", "flat", "classes", to="two"),
        node("Add", "one", "two", to="y"),
    ],
    "weights turned": [
        *GOOD[:3],
        node("Transpose", "classes", to="turned", perm=[1, 0]),
        node("Gemm", "flat", "turned", to="y", transB=1),
    ],
}


@pytest.mark.parametrize("nodes", FORMS.values(), ids=FORMS)
def test_a_classifier_is_found_in_other_forms(tmp_path: Path, nodes: list) -> None:
    build(OnnxImages(PIXELS), {MAIN: write(tmp_path / "a.onnx", nodes)}, tmp_path / "b.onnx")
    assert_gives(tmp_path / "b.onnx", MEANS)


@pytest.mark.parametrize(("pooling", "tensor"), [(Pooling.SPATIAL, "maps"), (Pooling.NONE, "mean")])
def test_an_inner_tensor_can_be_named(tmp_path: Path, pooling: Pooling, tensor: str) -> None:
    file = write(tmp_path / "a.onnx", GOOD)
    build(OnnxImages(PIXELS, tensor, pooling, 6), {MAIN: file}, tmp_path / "b.onnx")
    assert_gives(tmp_path / "b.onnx", MEANS)


def test_the_mean_of_tokens(tmp_path: Path) -> None:
    shape = node("Constant", to="s", value=numpy_helper.from_array(np.array([0, 6, 1024])))
    nodes = [CONV, shape, node("Reshape", "maps", "s", to="r")]
    nodes.append(node("Transpose", "r", to="tokens", perm=[0, 2, 1]))
    file = write(tmp_path / "a.onnx", nodes, outputs=("tokens",))
    build(OnnxImages(PIXELS, "tokens", Pooling.MEAN_TOKEN), {MAIN: file}, tmp_path / "b.onnx")
    assert_gives(tmp_path / "b.onnx", MEANS)


def test_colours_last_blue_first_and_half_precision(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", to="first", perm=[0, 3, 1, 2])]
    nodes.append(node("Conv", "first", "kernels", to="maps", kernel_shape=[3, 3], pads=[1] * 4))
    nodes += [MEAN, FLAT, DENSE]
    file = write(
        tmp_path / "a.onnx", nodes, shape=["N", 32, 32, 3], kind=TensorProto.FLOAT16, opset=13
    )
    recipe = OnnxImages(Pixels((32, 32), PIXELS.mean, PIXELS.std, bgr=True))
    build(recipe, {MAIN: file}, tmp_path / "b.onnx")
    pixels = images(32, 32)
    expected = maps(pixels[..., ::-1]).mean((2, 3))
    np.testing.assert_allclose(OnnxModel(tmp_path / "b.onnx")(pixels), expected, atol=0.02)


def test_names_that_the_network_uses_already_are_left_to_it(tmp_path: Path) -> None:
    nodes = [CONV, node("GlobalAveragePool", "maps", to="image")]
    nodes += [node("Reshape", "image", "flat_shape", to="embedding")]
    nodes += [node("MatMul", "embedding", "classes", to="y")]
    build(OnnxImages(PIXELS), {MAIN: write(tmp_path / "a.onnx", nodes)}, tmp_path / "b.onnx")
    assert_gives(tmp_path / "b.onnx", MEANS)


def external(location: str, length: int | None = None):
    def change(proto: onnx.ModelProto) -> None:
        tensor = next(t for t in proto.graph.initializer if t.name == "kernels")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", str(length or KERNELS.nbytes))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return change


def elsewhere(name: str) -> onnx.TensorProto:
    """Weights that are said to be in a file of this computer."""
    tensor = numpy_helper.from_array(np.ones(3, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def test_no_file_is_named_from_within_a_branch_or_by_sparse_weights(tmp_path: Path) -> None:
    def in_a_branch(proto: onnx.ModelProto) -> None:
        said = [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)]
        same = helper.make_node("Identity", ["w"], ["t"])
        branch = helper.make_graph([same], "branch", [], said, [elsewhere("w")])
        proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "is"))
        choice = helper.make_node("If", ["is"], ["chosen"], then_branch=branch, else_branch=branch)
        proto.graph.node.append(choice)

    def sparse(proto: onnx.ModelProto) -> None:
        indices = numpy_helper.from_array(np.arange(3), "places")
        weights = helper.make_sparse_tensor(elsewhere("sparse"), indices, [9])
        proto.graph.sparse_initializer.append(weights)

    for change in (in_a_branch, sparse):
        file = write(tmp_path / "a.onnx", GOOD, change=change)
        with pytest.raises(ModelFileError, match="in another file"):
            build(OnnxImages(PIXELS), {MAIN: file}, tmp_path / "b.onnx")


def test_weights_beside_it_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(KERNELS.tobytes())
    file = write(tmp_path / "a.onnx", GOOD, change=external("model.onnx_data"))
    files = {MAIN: file, "model.onnx_data": tmp_path / "blob"}
    build(OnnxImages(PIXELS), files, tmp_path / "b.onnx")
    (tmp_path / "blob").unlink()
    assert_gives(tmp_path / "b.onnx", MEANS)


def with_nan(proto: onnx.ModelProto) -> None:
    values = np.full((300, 100), np.nan, np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(values, "nan"))


def with_small_nan(proto: onnx.ModelProto) -> None:
    tensor = next(t for t in proto.graph.initializer if t.name == "kernels")
    tensor.raw_data = np.full(KERNELS.size, np.nan, np.float32).tobytes()


def with_a_function(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].domain = "com.somebody"


@pytest.mark.parametrize(
    ("nodes", "settings", "recipe", "said"),
    [
        (GOOD[:3], {"outputs": ("flat",)}, {}, "does not end with a classifier"),
        ([*GOOD, node("Relu", "y", to="r")], {"outputs": ("r",)}, {}, "a Relu after"),
        ([*GOOD[:3], node("MatMul", "flat", "classes", to="one"), node("Relu", "flat", to="other"),
          node("MatMul", "other", "classes", to="two"), node("Add", "one", "two", to="y")],
         {}, {}, "several layers"),
        (GOOD, {"change": lambda proto: proto.graph.node[3].input.pop()}, {}, "faulty|fit|dense"),
        ([node("Identity", "b", to="a"), node("Add", "a", "x", to="b")],
         {"outputs": ("b",)}, {}, "faulty|classifier|fit|layers"),
        (GOOD, {"outputs": ("y", "flat")}, {}, "several outputs"),
        (GOOD, {"shape": ["N", 3, 64, 64]}, {}, "not of 32 x 32"),
        (GOOD, {"shape": [4, 3, 32, 32]}, {}, "one at a time"),
        (GOOD, {}, {"tensor": "nothing"}, "no tensor 'nothing'"),
        (GOOD, {}, {"tensor": "maps"}, "one vector per image"),
        (GOOD, {}, {"tensor": "maps", "pooling": Pooling.CLASS_TOKEN}, "class token"),
        (GOOD, {}, {"dimension": 7}, "not of 7"),
        (GOOD, {"change": with_nan}, {"tensor": "flat"}, "finite"),
        (GOOD, {"change": with_small_nan}, {}, "not all numbers"),
        (GOOD, {"change": with_a_function, "domains": ("com.somebody",)}, {}, "com.somebody"),
        (GOOD, {"opset": 6}, {}, "too old"),
        (GOOD, {"change": external("../../etc/passwd")}, {}, "missing"),
        (GOOD, {"change": external("")}, {}, "missing"),
        (GOOD, {"change": external("short")}, {}, "short"),
    ],
)  # fmt: skip
def test_what_cannot_be_one_of_ours_is_refused(
    tmp_path: Path, nodes: list, settings: dict, recipe: dict, said: str
) -> None:
    (tmp_path / "short").write_bytes(b"1234")
    file = write(tmp_path / "a.onnx", nodes, **settings)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelFileError, match=said):
        build(
            OnnxImages(PIXELS, **recipe),
            {MAIN: file, "short": tmp_path / "short"},
            tmp_path / "out" / "b.onnx",
        )
    assert not list((tmp_path / "out").iterdir())


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = (RECORDED / "mobilenet-gemm-open.onnx").read_bytes()
    for length in range(0, len(whole), 997):
        (tmp_path / "a.onnx").write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match=r"a\.onnx"):
            build(OnnxImages(PIXELS), {MAIN: tmp_path / "a.onnx"}, tmp_path / "b.onnx")


def test_texts_keep_their_own_input(tmp_path: Path) -> None:
    import onnxruntime

    from orangecontrib.imageanalytics.models.recipes import OnnxTexts

    shutil.copy(RECORDED / "clip-texts.onnx", tmp_path / "a.onnx")
    build(OnnxTexts("text_embeds", 7), {MAIN: tmp_path / "a.onnx"}, tmp_path / "b.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "b.onnx")
    (found,) = session.run(None, {"input_ids": expected("clip-texts-tokens")})
    np.testing.assert_allclose(found, expected("clip-texts"), atol=1e-4)
    with pytest.raises(ModelFileError, match="not of 8"):
        build(OnnxTexts("text_embeds", 8), {MAIN: tmp_path / "a.onnx"}, tmp_path / "c.onnx")
    with pytest.raises(ModelFileError, match="texts"):
        build(OnnxTexts("y", 7), recorded("clip-images"), tmp_path / "c.onnx")
