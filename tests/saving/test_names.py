"""Names that every system takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orangecontrib.imageanalytics.saving.names import numbered, safe_name, stem_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cat", "cat"),
        ("cats/dogs", "cats_dogs"),
        ("a:b", "a_b"),
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        ("  ", "_"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("Lpt1", "_Lpt1"),
        ("console", "console"),
        ("ends. . ", "ends"),
        (".hidden", "_.hidden"),
        ("line\nbreak", "line_break"),
        ("😀", "😀"),
        ("..\\..\\windows", "_.._.._windows"),
        ("\udcff", "_"),
    ],
)
def test_names_are_made_safe(text, name):
    assert safe_name(text) == name


@given(st.text(max_size=400))
def test_no_name_leads_elsewhere_or_is_refused(text):
    name = safe_name(text)
    assert name
    assert len(name.encode()) <= 201
    assert name == Path(name).name
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    assert not set(name) & set('<>:"/\\|?*')


@pytest.mark.parametrize(
    ("reference", "stem"),
    [
        ("/home/a.b.jpg", "a.b"),
        ("C:\\photos\\lemon.png", "lemon"),
        (Path("lemon"), "lemon"),
        ("/home/.hidden", "_.hidden"),
        ("https://example.org/pictures/red%20bicycle.jpg?size=2", "red bicycle"),
        ("https://example.org/", "image 7"),
        ("data:image/png;base64,AAAA", "image 7"),
        ("file:///home/a%20b.png", "a b"),
        (b"\x89PNG", "image 7"),
        (None, "image 7"),
        ("/home/Dr. Who met somebody there", "Dr. Who met somebody there"),
    ],
)
def test_pictures_keep_their_names(reference, stem):
    assert stem_of(reference, 7) == stem


def test_the_second_of_a_name_is_numbered():
    assert [numbered("a", ".png", number) for number in (1, 2)] == ["a.png", "a (2).png"]
