"""Names that every system takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orangecontrib.imageanalytics.saving.names import folder_names, numbered, safe_name, stem_of


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
        ("http://[", "image 7"),
        (b"\x89PNG", "image 7"),
        (None, "image 7"),
        ("/home/Dr. Who met somebody there", "Dr. Who met somebody there"),
    ],
)
def test_pictures_keep_their_names(reference, stem):
    assert stem_of(reference, 7) == stem


def test_the_second_of_a_name_is_numbered():
    assert [numbered("a", ".png", number) for number in (1, 2)] == ["a.png", "a (2).png"]


def test_each_class_has_a_folder_of_its_own():
    names = folder_names(["<5", ">5", "_5", "Cat", "cat", "e\u0301t\u00e9", "\u00e9t\u00e9", "dog"])
    assert names["_5"] == "_5"
    assert {names["<5"], names[">5"]} == {"_5 (2)", "_5 (3)"}
    assert {names["Cat"], names["cat"]} == {"Cat", "cat (2)"}
    assert names["dog"] == "dog"
    assert len({name.casefold() for name in names.values()}) == len(names)


def test_folders_are_named_alike_whatever_the_order():
    texts = ["<5", ">5", "?5", "a" * 300, "a" * 301]
    assert folder_names(texts) == folder_names(reversed(texts))
    assert len(set(folder_names(texts).values())) == len(texts)
