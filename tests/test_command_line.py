"""The command line."""

from __future__ import annotations

import base64
import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from Orange.data import Table

from orangecontrib.imageanalytics import output_files
from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.tables import embeddings
from orangecontrib.imageanalytics.thumbnails import Thumbnails


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it as a user would, without a display."""
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    command = [sys.executable, "-m", "orangecontrib.imageanalytics", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("suffix", [".tab", ".csv", ".xlsx", ".pkl"])
def test_a_folder_becomes_a_table(photos, tmp_path, suffix):
    out = tmp_path / f"photos{suffix}"
    done = run(photos[-1].parent, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 of 6 images embedded" in done.stdout
    table = Table(str(out))
    assert len(table) == 6
    assert len([a for a in table.domain.attributes if a.name.startswith("n")]) == 1000
    if suffix in (".tab", ".pkl"):
        assert [found.model for found in embeddings(table)] == ["squeezenet"]
    assert {"image", "image name"} <= {meta.name for meta in table.domain.metas}
    assert sorted(str(row["image name"]) for row in table)[0] == "apple_granny_smith"


def test_npz_holds_names_and_float32_vectors(photos, tmp_path):
    out = tmp_path / "photos.npz"
    done = run(*photos[:2], tmp_path / "missing.png", "-o", out, "--skipped", tmp_path / "no.npz")
    assert done.returncode == 0
    assert "1 not found" in done.stdout
    assert "missing.png" in done.stdout
    with np.load(out) as arrays:
        assert arrays["images"].tolist() == [str(photo) for photo in photos[:2]]
        assert (arrays["embeddings"].shape, arrays["embeddings"].dtype) == ((2, 1000), np.float32)
    with np.load(tmp_path / "no.npz") as arrays:
        assert arrays["reasons"][0].startswith("not found")


def test_the_skipped_images_are_listed_in_a_table(photos, tmp_path):
    (tmp_path / "text.jpg").write_text("text")
    skipped = tmp_path / "skipped.csv"
    assert run(photos[0], tmp_path / "text.jpg", "--skipped", skipped).returncode == 0
    table = Table(str(skipped))
    assert str(table[0]["skip reason"]).startswith("not an image")


def test_the_status_is_1_when_nothing_could_be_embedded(tmp_path):
    done = run(tmp_path / "missing.png", "-o", tmp_path / "out.npz")
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.png", "-o", "out.doc"],
        ["a.png", "-o", "no/such/folder/out.tab"],
        ["a.png", "-m", "vgg16", "--server", "no address"],
        ["--what"],
    ],
    ids=str,
)
def test_the_status_is_2_for_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "error" in capsys.readouterr().err


def test_an_unknown_model_is_wrong_usage_and_the_models_are_listed(photos, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([str(photos[0]), "-m", "resnet"])
    assert exit_.value.code == 2
    assert "squeezenet" in capsys.readouterr().err


def test_the_cache_can_be_shown_and_cleared(photos, capsys):
    assert main([str(photos[0])]) == 0
    main(["--cache-size"])
    assert "squeezenet" in capsys.readouterr().out
    main(["--clear-cache", "squeezenet"])
    assert "empty" in capsys.readouterr().out


def test_thumbnails_can_be_shown_and_cleared_too(photos, capsys):
    assert main([str(photos[0])]) == 0
    with Thumbnails() as thumbnails:
        assert None not in thumbnails(photos[:2], 64)
    main(["--cache-size"])
    assert re.search(r"thumbnails +2 images", capsys.readouterr().out)
    main(["--clear-cache", "thumbnails"])
    told = capsys.readouterr().out
    assert "squeezenet" in told and "thumbnails" not in told
    with Thumbnails() as thumbnails:
        thumbnails(photos[:2], 64)
    main(["--clear-cache"])
    assert "empty" in capsys.readouterr().out


def test_no_cache_keeps_nothing(photos, capsys):
    assert main([str(photos[0]), "--no-cache"]) == 0
    main(["--cache-size"])
    assert "empty" in capsys.readouterr().out


def test_names_that_are_not_text(photos, tmp_path):
    name = os.fsdecode(b"\xff\xfe \xf0\x9f\x90\xb1\n.png")
    odd = Path(tmp_path / name)
    odd.write_bytes(photos[0].read_bytes())
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("text")
    done = run(tmp_path, "-o", tmp_path / "out.tab")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 images embedded" in done.stdout
    assert len(Table(str(tmp_path / "out.tab"))) == 1


def test_it_starts_no_qt(photos, tmp_path):
    # Orange.data itself imports QtCore where there is one
    script = (
        "import sys\n"
        "from orangecontrib.imageanalytics.__main__ import main\n"
        f"assert main([{str(photos[0])!r}, '-o', {str(tmp_path / 'out.tab')!r}]) == 0\n"
        "assert not {'PyQt6.QtWidgets', 'PyQt6.QtGui', 'Orange.widgets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_suffix_in_capitals_is_as_good(photos, tmp_path):
    assert main([str(photos[0]), "-o", str(tmp_path / "OUT.NPZ")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["OUT.NPZ"]


def test_a_data_uri_is_an_image_like_any_other(photos, capsys):
    uri = "data:image/png;base64," + base64.b64encode(photos[0].read_bytes()).decode()
    assert main([uri]) == 0


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    photos, tmp_path, monkeypatch, capsys
):
    def full(*arguments: object, **names: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    assert main([str(photos[0]), "-o", str(tmp_path / "out.npz")]) == 1
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.tab", "folder/../out.tab", "link.tab", "away/out.tab"])
def test_the_two_outputs_cannot_be_one_file(photos, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    try:
        Path("link.tab").symlink_to("out.tab")
        Path("away").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        if name not in ("out.tab", "folder/../out.tab"):
            pytest.skip("this account may not make links")
    with pytest.raises(SystemExit) as ended:
        main([str(photos[0]), "-o", str(tmp_path / "out.tab"), "--skipped", name])
    assert ended.value.code == 2
    assert "different files" in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["darwin", sys.platform])
def test_capitals_tell_two_outputs_apart_where_they_tell_files_apart(
    tmp_path, monkeypatch, platform
):
    monkeypatch.setattr(output_files, "sys", SimpleNamespace(platform=platform))
    places = {output_files.place_of(tmp_path / name) for name in ("out.csv", "OUT.csv")}
    assert (len(places) == 1) == (platform in ("win32", "darwin"))


def test_a_reader_who_leaves_early_changes_nothing(photos, tmp_path):
    command = f"{sys.executable} -m orangecontrib.imageanalytics {photos[0]} -o {tmp_path}/a.npz"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | true"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.npz").exists()


def test_labelled_folders_give_what_the_widget_gives(photos, tmp_path):
    out = tmp_path / "photos.tab"
    assert run(photos[0].parents[1], "-o", out).returncode == 0
    written = Table(str(out))
    imported, _ = ImportImages()(photos[0].parents[1])
    assert written.domain.class_var.name == "category"
    assert list(written.domain.class_var.values) == list(imported.domain.class_var.values)
    assert [str(c) for c in written.get_column("category")] == [
        str(c) for c in imported.get_column("category")
    ]
    for name in ("image name", "image", "size", "width", "height"):
        assert written.get_column(name).tolist() == imported.get_column(name).tolist(), name
    assert written.domain["image"].attributes == imported.domain["image"].attributes


def test_several_folders_are_categories_of_their_names(photos, tmp_path):
    out = tmp_path / "photos.csv"
    animal, fruit = photos[0].parent, photos[-1].parent
    assert run(animal, fruit, "-o", out).returncode == 0
    table = pandas.read_csv(out)
    assert table["category"].tolist() == ["animal"] * 7 + ["fruit"] * 6


def test_csv_is_what_pandas_reads_and_on_demand_what_orange_reads(photos, tmp_path):
    out = tmp_path / "photos.csv"
    assert run(photos[0].parents[1], "-o", out).returncode == 0
    plain = pandas.read_csv(out)
    assert len(plain) == 13 and plain["n0"].dtype == float and plain["width"].dtype.kind in "if"
    assert Path(plain["image"][0]).is_file()
    assert run(photos[0].parents[1], "-o", out, "--orange-header").returncode == 0
    assert Table(str(out)).domain.class_var.name == "category"
    assert len(pandas.read_csv(out)) == 15


def test_an_address_or_file_that_is_skipped_has_no_size(tmp_path):
    skipped = tmp_path / "no.csv"
    run(tmp_path / "missing.png", "data:image/png;base64,xx", "--skipped", skipped)
    assert pandas.read_csv(skipped)["width"].isna().all()
