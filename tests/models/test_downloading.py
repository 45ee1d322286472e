"""Downloads through the real huggingface_hub, from a hub of our own on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orangecontrib.imageanalytics.models import Download, HubFile, Product
from orangecontrib.imageanalytics.models.downloaded import (
    downloaded_files,
    is_downloaded,
    parts_folder,
    remove,
)
from orangecontrib.imageanalytics.models.downloading import Progress, download
from orangecontrib.imageanalytics.outcome import (
    EmbeddingConnectionError,
    ModelDownloadError,
    ModelFileError,
)
from tests.hub import (
    REPOSITORY,
    Hub,
    address,
    breaking_off,
    downloadable,
    in_pieces,
    refuse,
    serve,
    small_network,
    stalling,
)
from tests.small_models import write_model
from tests.web_server import in_turn


@pytest.fixture
def hub(monkeypatch):
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url())
        yield hub


@pytest.fixture
def content(tmp_path):
    return small_network(tmp_path)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


def parts(folder: Path) -> list[int]:
    """The sizes of what has arrived and is not whole."""
    return [part.stat().st_size for part in parts_folder("small-model", folder).glob("*.part")]


class Cancelled(Exception):
    pass


class TestDownload:
    def test_it_arrives_is_tried_and_lies_in_our_own_folder(self, hub, content, folder):
        hub.put(content, sends=in_pieces(500_000))
        seen: list[Progress] = []
        model = download(downloadable(content), folder, seen.append)
        assert model.weights == folder / "downloaded" / "small-model.onnx"
        assert model.weights.read_bytes() == content
        assert parts(folder) == []
        done = [step.done for step in seen if step.total]
        assert done == sorted(done) and len(set(done)) > 2
        assert {step.total for step in seen if step.done} == {len(content)}

    def test_what_is_there_is_not_fetched_again(self, hub, content, folder):
        hub.put(content)
        download(downloadable(content), folder)
        asked = len(hub.requests)
        download(downloadable(content), folder)
        assert len(hub.requests) == asked

    def test_it_can_be_removed_and_fetched_again(self, hub, content, folder):
        hub.put(content)
        model = downloadable(content)
        download(model, folder)
        assert remove(model, folder) == len(content)
        assert not is_downloaded(model, folder)
        assert remove(model, folder) == 0
        download(model, folder)
        assert is_downloaded(model, folder)

    def test_a_name_with_emoji_and_spaces_is_a_folder_like_any_other(self, hub, content, tmp_path):
        hub.put(content)
        assert download(downloadable(content), tmp_path / "my 🐱 models").weights.is_file()

    def test_nothing_is_imported_from_the_working_directory(
        self, hub, content, folder, tmp_path, monkeypatch
    ):
        (tmp_path / "filelock.py").write_text("raise SystemExit('somebody else wrote this')")
        monkeypatch.chdir(tmp_path)
        hub.put(content)
        assert download(downloadable(content), folder).weights.is_file()

    def test_a_token_goes_to_the_hub(self, hub, content, folder, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        hub.put(content)
        download(downloadable(content), folder)
        assert {request.headers["authorization"] for request in hub.requests} == {
            "Bearer hf_secret"
        }

    def test_and_not_to_the_store_that_it_sends_us_to(self, hub, content, folder, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        with Hub() as store:
            elsewhere = store.on("/bytes", serve(content)).replace("127.0.0.1", "localhost")

            def send_elsewhere(exchange):
                headers = {
                    "Location": elsewhere,
                    "X-Linked-ETag": '"1"',
                    "X-Linked-Size": str(len(content)),
                    "X-Repo-Commit": "0" * 40,
                    "Content-Length": "0",
                }
                exchange.send(302, headers)

            hub.on(address(), send_elsewhere)
            download(downloadable(content), folder)
            (asked,) = store.requests
        assert "authorization" not in asked.headers


class TestInterruptions:
    def test_a_connection_that_breaks_off_is_taken_up_where_it_was(self, hub, content, folder):
        hub.on(
            address(),
            in_turn(serve(content), serve(content, breaking_off(1_000_000)), serve(content)),
        )
        download(downloadable(content), folder)
        first, second = hub.ranges()
        assert first == "" and second.startswith("bytes=") and second != "bytes=0-"

    def test_a_later_program_goes_on_with_what_an_earlier_one_left(self, hub, content, folder):
        hub.put(content, sends=stalling(1_500_000))
        with pytest.raises(Cancelled):
            download(downloadable(content), folder, cancel_at(1_000_000))
        (kept,) = parts(folder)
        assert kept >= 1_000_000
        hub.put(content)
        download(downloadable(content), folder)
        assert hub.ranges()[-1] == f"bytes={kept}-"

    def test_a_hub_that_knows_no_ranges_sends_all_of_it_again(self, hub, content, folder):
        hub.put(content, sends=stalling(1_500_000))
        with pytest.raises(Cancelled):
            download(downloadable(content), folder, cancel_at(1_000_000))
        whole = serve(content)

        def without_ranges(exchange):
            del exchange.headers["Range"]
            whole(exchange)

        hub.on(address(), without_ranges)
        assert download(downloadable(content), folder).weights.read_bytes() == content

    def test_a_hub_that_does_not_say_the_size_sends_all_of_it_again(self, hub, content, folder):
        whole = serve(content)

        def without_size(exchange):
            if exchange.command == "HEAD":
                exchange.send(200, {"ETag": '"1"', "X-Repo-Commit": "0" * 40})
                exchange.close_connection = True
            elif hub.downloads() == 1:
                serve(content, stalling(1_500_000))(exchange)
            else:
                whole(exchange)

        hub.on(address(), without_size)
        with pytest.raises(Cancelled):
            download(downloadable(content), folder, cancel_at(1_000_000))
        assert download(downloadable(content), folder).weights.read_bytes() == content
        assert hub.ranges() == ["", ""]

    def test_a_cancel_ends_it_at_once_even_if_nothing_arrives(self, hub, content, folder):
        hub.put(content, sends=stalling(1_500_000))
        cancelled = threading.Event()
        arrived = threading.Event()

        def watch(progress):
            if progress.done >= 1_000_000:
                arrived.set()
            if cancelled.is_set():
                raise Cancelled

        ended: list[float] = []

        def run():
            with pytest.raises(Cancelled):
                download(downloadable(content), folder, watch)
            ended.append(time.monotonic())

        thread = threading.Thread(target=run)
        thread.start()
        assert arrived.wait(60)
        cancelled.set()
        began = time.monotonic()
        thread.join(60)
        assert ended[0] - began < 2  # it takes 0.1 s; the network alone would let go after 10
        assert parts(folder)[0] >= 1_000_000
        commands = [child.cmdline() for child in psutil.Process().children()]
        assert not any("fetching" in word for command in commands for word in command)

    def test_the_process_ends_with_the_program_that_started_it(self, hub, content, folder):
        hub.put(content, sends=stalling(1_500_000))
        program = (
            "import sys\n"
            "from orangecontrib.imageanalytics.models.downloading import download\n"
            "from tests.hub import downloadable\n"
            "def tell(p):\n"
            "    if p.done: print('arrives', flush=True)\n"
            "content = open(sys.argv[1], 'rb').read()\n"
            "download(downloadable(content), sys.argv[2], tell)\n"
        )
        copy = folder.parent / "content"
        copy.write_bytes(content)
        with subprocess.Popen(
            [sys.executable, "-c", program, copy, folder], stdout=subprocess.PIPE
        ) as orphaning:
            assert orphaning.stdout.readline()
            (child,) = psutil.Process(orphaning.pid).children()
            orphaning.kill()
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running()

    def test_two_programs_at_once_fetch_it_once(self, hub, content, folder):
        def slowly(exchange, rest):
            time.sleep(1)
            exchange.wfile.write(rest)

        hub.put(content, sends=slowly)
        seen: list[str] = []
        models = []

        def run():
            models.append(
                download(downloadable(content), folder, lambda step: seen.append(step.words))
            )

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [model.weights.read_bytes() == content for model in models] == [True, True]
        assert hub.downloads() == 1
        assert "Waiting for another program that is downloading the same" in seen


def cancel_at(done: int):
    """A callback that cancels when so many bytes have arrived."""

    def watch(progress):
        if progress.done >= done:
            raise Cancelled

    return watch


class TestFailures:
    def failure(self, folder, model, kind=ModelDownloadError) -> str:
        with pytest.raises(kind) as caught:
            download(model, folder)
        assert not is_downloaded(model, folder)
        return str(caught.value)

    def test_another_content_than_expected_is_thrown_away(self, hub, content, folder):
        hub.put(content)
        model = downloadable(content, sha256="0" * 64)
        assert "SHA-256 differs" in self.failure(folder, model)
        assert parts(folder) == []

    def test_content_that_differs_from_what_the_hub_announced(self, hub, content, folder):
        altered = content[:-1] + b"?"
        hub.on(address(), in_turn(serve(content), serve(altered)))
        assert "SHA-256 differs" in self.failure(folder, downloadable(content, sha256=None))

    def test_nothing_there(self, hub, content, folder):
        hub.on(address(), refuse(404, X_Error_Code="EntryNotFound"))
        text = self.failure(folder, downloadable(content))
        assert hub.url(address()) in text and "404" in text

    def test_not_for_everybody(self, hub, content, folder):
        hub.on(address(), refuse(401, X_Error_Code="GatedRepo"))
        text = self.failure(folder, downloadable(content))
        assert "HF_TOKEN" in text and REPOSITORY in text

    def test_asked_too_often(self, hub, content, folder):
        hub.on(address(), refuse(429, Retry_After="3600"))
        text = self.failure(folder, downloadable(content))
        assert "asked too often" in text and "3600 seconds" in text

    def test_busy_for_a_moment(self, hub, content, folder):
        hub.on(address(), in_turn(refuse(429, Retry_After="0"), refuse(503), serve(content)))
        assert download(downloadable(content), folder).weights.is_file()

    def test_no_network(self, content, folder, monkeypatch):
        text = self.failure(folder, downloadable(content), EmbeddingConnectionError)
        assert "127.0.0.1:9 cannot be reached" in text
        assert f"http://127.0.0.1:9{address()}" in text
        assert str(folder / "downloaded" / "small-model" / "model.onnx") in text

    def test_something_else_answers(self, hub, content, folder):
        hub.on(address(), refuse(200))
        assert "does not answer as a hub" in self.failure(folder, downloadable(content))

    def test_less_room_on_the_disk_than_needed(self, hub, content, folder):
        def give(exchange):
            headers = {
                "ETag": '"1"',
                "X-Linked-Size": str(10**16),
                "X-Repo-Commit": "0" * 40,
                "Content-Length": "0",
            }
            exchange.send(200, headers)

        hub.on(address(), give)
        text = self.failure(folder, downloadable(content, size=10**16, sha256=None))
        assert "not enough room" in text and "20000000000 MB are needed" in text

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's files")
    def test_a_disk_that_is_full_in_the_middle(self, hub, content, folder):
        import resource

        hub.put(content)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        try:
            assert "not enough room" in self.failure(folder, downloadable(content))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert parts(folder) == [1_000_000]
        assert download(downloadable(content), folder).weights.read_bytes() == content

    @pytest.mark.skipif(
        sys.platform == "win32" or os.geteuid() == 0, reason="this user may write everywhere"
    )
    def test_a_folder_that_cannot_be_written_to(self, hub, content, folder):
        hub.put(content)
        folder.mkdir()
        folder.chmod(0o500)
        assert "cannot be made" in self.failure(folder, downloadable(content))

    def test_a_file_in_place_of_the_folder(self, hub, content, folder):
        hub.put(content)
        folder.write_text("no folder")
        assert "cannot be made" in self.failure(folder, downloadable(content))

    def test_a_model_that_is_another_than_the_catalogue_says(self, hub, content, folder):
        hub.put(content)
        other = replace(downloadable(content), dimension=5)
        assert "gives 4 numbers" in self.failure(folder, other, ModelFileError)

    def test_a_model_that_is_none(self, hub, folder):
        hub.put(b"junk")
        assert "is not an ONNX file" in self.failure(folder, downloadable(b"junk"), ModelFileError)


class TestWithoutTheHub:
    def test_offline_mode_uses_what_the_shared_cache_has(self, hub, content, folder, monkeypatch):
        hub.put(content)
        fill_the_shared_cache()
        asked = len(hub.requests)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert download(downloadable(content), folder).weights.read_bytes() == content
        assert len(hub.requests) == asked

    def test_what_the_shared_cache_has_is_left_there(self, hub, content, folder):
        hub.put(content)
        cached = fill_the_shared_cache()
        download(downloadable(content), folder)
        assert cached.read_bytes() == content

    def test_offline_mode_without_it_is_an_error(self, hub, content, folder, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(EmbeddingConnectionError, match="HF_HUB_OFFLINE"):
            download(downloadable(content), folder)
        assert hub.requests == []

    def test_a_file_that_somebody_brought_is_used_and_left_there(self, content, folder):
        model = downloadable(content)
        brought = downloaded_files(model, folder)[0].with_suffix("") / "model.onnx"
        brought.parent.mkdir(parents=True)
        brought.write_bytes(content)
        assert download(model, folder).weights.read_bytes() == content
        assert brought.is_file()

    def test_files_of_one_name_are_told_apart_by_their_repositories(self, content, folder):
        model = downloadable(content)
        (network,) = model.download.products
        words = HubFile("somebody/words", "model.onnx", size=3)
        both = Download((network, Product(".text.onnx", {"main": words})))
        place = folder / "downloaded" / "small-model"
        for repository, brought in (("small-model", content), ("words", b"abc")):
            (place / repository).mkdir(parents=True)
            (place / repository / "model.onnx").write_bytes(brought)
        download(replace(model, download=both), folder)
        assert (folder / "downloaded" / "small-model.text.onnx").read_bytes() == b"abc"

    def test_the_wrong_file_is_refused(self, tmp_path, content, folder):
        model = downloadable(content)
        brought = downloaded_files(model, folder)[0].with_suffix("") / "model.onnx"
        brought.parent.mkdir(parents=True)
        write_model(brought)
        with pytest.raises(ModelDownloadError, match="is not the file"):
            download(model, folder)


def fill_the_shared_cache() -> Path:
    """Let another program, which uses huggingface_hub as it is, download the same."""
    program = (
        "import huggingface_hub; print(huggingface_hub.hf_hub_download("
        f"{REPOSITORY!r}, 'model.onnx'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return Path(done.stdout.strip())


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("Downloading", 120_000_000, 528_000_000), "Downloading: 120 of 528 MB"),
        (Progress("Downloading", 1_000_000, 2_000_000, 0.2), "Downloading: 1 of 2 MB, 1 s left"),
        (Progress("Downloading", 0, 2_000_000, 100), "Downloading: 0 of 2 MB, 2 min left"),
        (Progress("Downloading", 0, 2_000_000, 10_000), "Downloading: 0 of 2 MB, 3 h left"),
        (Progress("Making the model"), "Making the model..."),
    ],
)
def test_progress_in_words(progress, text):
    assert str(progress) == text
