"""The server as its administrators start and stop it: a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.models import default_folder
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.outcome import ModelFileError, ServerRefusedError
from orangecontrib.imageanalytics.server import __main__ as command
from orangecontrib.imageanalytics.server.access import TokenFileError, read_token
from orangecontrib.imageanalytics.server.served_models import find_models
from tests.embedding_servers import client, wait_until_ready, write_stand_in
from tests.misbehaving_server import CERTIFICATE

TOKEN = "c0rrect-horse"

_SMALL = ("--port", "0", "--workers", "1")


class Process:
    """A server that was started from the command line."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "orangecontrib.imageanalytics.server", *_SMALL, *arguments],
                stderr=log,
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "HOME": str(folder),
                },
            )

    @property
    def address(self) -> str:
        end = time.monotonic() + 30
        while not (found := re.search(r"https?://\S+/", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        return found[0]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@contextlib.contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Process]:
    server = Process(folder, *arguments)
    try:
        wait_until_ready(server.address)
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def fails(caplog: pytest.LogCaptureFixture, *arguments: str) -> str:
    """What a server says that does not start."""
    assert command.main(["--port", "0", *arguments]) == 2
    return caplog.text


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_sigterm_lets_it_finish_what_is_in_flight(tmp_path: Path, photos: list[Path]):
    with started(tmp_path) as server:
        host, port = server.address.removeprefix("http://").rstrip("/").split(":")
        body = photos[0].read_bytes()
        head = f"POST /image/squeezenet HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connections = [socket.create_connection((host, int(port)), timeout=30) for _ in range(60)]
        for connection in connections:
            connection.sendall(head.encode() + body)
        answers = [read_one(connections[0])]
        workers = psutil.Process(server.process.pid).children(recursive=True)
        server.process.send_signal(signal.SIGTERM)
        answers += [read_one(connection) for connection in connections[1:]]
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        assert server.process.wait(30) == 0
        _, alive = psutil.wait_procs(workers, timeout=5)
        assert alive == []


def read_one(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"}"):
        received = connection.recv(100_000)
        assert received, "the connection was closed without an answer"
        answer += received
    return answer


def test_images_and_queries_are_neither_logged_nor_stored(tmp_path: Path, photos: list[Path]):
    with started(tmp_path) as server:
        for model in ("squeezenet", "unknown"):
            for body in (photos[0].read_bytes(), b"s3cret-image"):
                client.post(f"{server.address}image/{model}?machine=s3cret", content=body)
        with socket.create_connection(("127.0.0.1", httpx.URL(server.address).port)) as wrong:
            wrong.sendall(b"GET s3cret\r\n\r\n")
            wrong.recv(1000)
        assert server.stop() == 0
        assert "s3cret" not in server.log.read_text()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [server.log]


def test_a_token_is_demanded_of_those_who_embed(tmp_path, token_file, photos, monkeypatch):
    with started(tmp_path, "--token-file", str(token_file)) as server:
        for sent in (None, "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "é"):
            headers = {} if sent is None else {"Authorization": sent.encode("latin-1")}
            for response in (
                client.post(f"{server.address}image/squeezenet", content=b"x", headers=headers),
                client.get(f"{server.address}models", headers=headers),
            ):
                assert response.status_code == 401
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
        sent = {"Authorization": f"bearer {TOKEN}"}
        assert client.get(f"{server.address}models", headers=sent).status_code == 200
        assert client.get(f"{server.address}openapi.json").status_code == 200
        assert TOKEN not in server.log.read_text()

        monkeypatch.setenv("ORANGE_EMBEDDING_API_URL", server.address)
        with (
            ImageEmbedder("inception-v3", token="wrong", cache=False) as embedder,
            pytest.raises(ServerRefusedError, match="401"),
        ):
            embedder(photos[:1])


def test_it_serves_a_folders_model_to_our_client_with_a_token_over_tls(
    tmp_path, token_file, photos, monkeypatch
):
    models = tmp_path / "models"
    models.mkdir()
    write_stand_in(models / "deeploc.onnx", 64, 512)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    arguments = ("--models", models, "--token-file", token_file, "--certfile", CERTIFICATE)
    with started(tmp_path, *map(str, arguments)) as server:
        assert server.address.startswith("https://")
        address = server.address.replace("127.0.0.1", "localhost")
        with ImageEmbedder("deeploc", address, token=TOKEN, cache=False) as embedder:
            vectors = embedder(photos[:3])
    assert [len(vector) for vector in vectors] == [512] * 3


def test_a_broken_model_ends_it_with_an_error(tmp_path: Path, photos: list[Path]):
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["image"], ["vector"], domain="nowhere")],
        "broken",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["N", 4])],
    )
    models = tmp_path / "models"
    models.mkdir()
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(models / "broken.onnx"))
    server = Process(tmp_path, "--models", str(models))
    try:
        assert server.process.wait(60) == 1
    finally:
        server.process.kill()
        server.process.wait()
    assert "broken.onnx cannot be loaded" in server.log.read_text()


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "empty"), (b" \n", "empty"), (b"two words", "one word"), (b"\xff\xfe", "not text")],
)
def test_a_file_without_a_usable_token_is_refused(tmp_path, caplog, content, what):
    path = tmp_path / "token"
    path.write_bytes(content)
    error = fails(caplog, "--token-file", str(path))
    assert str(path) in error
    assert what in error


def test_a_missing_token_file_is_refused(tmp_path: Path):
    with pytest.raises(TokenFileError, match="No such file"):
        read_token(tmp_path / "missing")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_token_file_that_others_can_read_is_warned_of(token_file: Path, caplog):
    assert read_token(token_file) == TOKEN
    assert caplog.text == ""
    token_file.chmod(0o644)
    assert read_token(token_file) == TOKEN
    assert "chmod 600" in caplog.text


@pytest.mark.parametrize(
    ("host", "encrypted", "token", "said"),
    [
        ("127.0.0.1", False, None, []),
        ("0.0.0.0", True, TOKEN, []),
        ("0.0.0.0", True, None, ["Anyone"]),
        ("0.0.0.0", False, TOKEN, ["Images and the token travel unencrypted"]),
        ("0.0.0.0", False, None, ["Anyone", "Images travel unencrypted"]),
    ],
)
def test_it_warns_of_what_the_network_could_do(caplog, host, encrypted, token, said):
    with socket.socket() as bound:  # it does not listen
        bound.bind((host, 0))
        command._announce(bound, encrypted=encrypted, token=token)
    assert len(caplog.messages) == len(said)
    for message, expected in zip(caplog.messages, said, strict=True):
        assert message.startswith(expected)


def test_a_port_in_use_is_told(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1" in fails(caplog, "--port", port)


def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path, caplog):
    assert "--certfile" in fails(caplog, "--keyfile", str(CERTIFICATE))
    missing = str(tmp_path / "missing.pem")
    assert f"{missing} cannot be used" in fails(caplog, "--certfile", missing)


def test_a_models_folder_that_is_not_there_is_told(tmp_path: Path, caplog):
    assert "missing is not a folder" in fails(caplog, "--models", str(tmp_path / "missing"))


BUNDLED = ("squeezenet", "efficientnet-lite0", "efficientnet-lite2")


def test_without_a_folder_the_bundled_models_are_served():
    assert list(find_models(None)) == list(BUNDLED)


def downloaded(name: str, size: int = 224, dimension: int = 4096) -> Path:
    """A model as it lies there after its download."""
    folder = default_folder() / "downloaded"
    folder.mkdir(exist_ok=True)
    return write_stand_in(folder / f"{name}.onnx", size, dimension)


def test_downloaded_models_are_served_also_under_the_name_of_the_servers_own():
    file = downloaded("vgg16-local")
    served = find_models(None)
    assert list(served) == [*BUNDLED, "vgg16-local", "vgg16"]
    assert served["vgg16"].weights == served["vgg16-local"].weights == file
    assert served["vgg16"].id == "vgg16"


def test_a_file_of_the_folder_goes_before_what_could_stand_in_for_it(tmp_path: Path):
    downloaded("vgg16-local")
    own = write_stand_in(tmp_path / "vgg16.onnx")
    assert find_models(tmp_path)["vgg16"].weights == own


def test_what_was_added_to_the_folder_stands_in_too(tmp_path: Path):
    write_stand_in(tmp_path / "painters-local.onnx", 256, 2048)
    write_stand_in(tmp_path / "deeploc-local.onnx", 64, 100)  # gives other numbers than DeepLoc
    served = find_models(tmp_path)
    assert "painters" in served and "deeploc" not in served


def test_no_file_takes_the_place_of_one_that_can_be_downloaded(tmp_path: Path):
    write_stand_in(tmp_path / "vgg16-local.onnx")
    with pytest.raises(ModelFileError, match="same name as the model 'vgg16-local'"):
        find_models(tmp_path)


def test_models_of_other_names_are_served_too(tmp_path: Path):
    write_stand_in(tmp_path / "my-model.onnx", 100, 50)
    assert find_models(tmp_path)["my-model"].dimension == 50


def test_files_that_cannot_be_served_are_all_named(tmp_path: Path):
    write_stand_in(tmp_path / "vgg16.onnx", 224, 100)
    write_stand_in(tmp_path / "VGG19.onnx")
    shutil.copy(MODELS["squeezenet"].weights, tmp_path)
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(ModelFileError) as caught:
        find_models(tmp_path)
    text = str(caught.value)
    assert "gives 100 numbers for an image, where clients expect 4096 of 'vgg16'" in text
    assert "Rename it to vgg19.onnx" in text
    assert "squeezenet.onnx has the same name" in text
    assert "junk.onnx" in text


def test_another_input_size_than_the_clients_is_warned_of(tmp_path: Path, caplog):
    write_stand_in(tmp_path / "vgg16.onnx", 100)
    assert find_models(tmp_path)["vgg16"].title == "VGG-16"
    assert "clients send 224 x 224" in caplog.text
