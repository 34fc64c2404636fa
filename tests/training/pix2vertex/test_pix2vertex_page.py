"""Every row of the page's table names a function and a test that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "papers" / "pix2vertex.md"
ROWS = re.findall(r"^\| .*\| `([\w.]+)` \| `([\w/.]+)::(\w+)` \|$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("function", "file", "test"), ROWS)
def test_function_and_test_exist(function, file, test):
    module, name = function.rsplit(".", 1)
    assert callable(getattr(import_module(module), name))
    assert f"def {test}(" in (ROOT / file).read_text()


def test_the_table_is_whole():
    assert len(ROWS) >= 17
    for number in (*range(1, 8), 8, 9, 10, 12, 13, 14):
        assert re.search(rf"eqs?\. [\d to and]*\b{number}\b", PAGE.read_text()), number


def test_its_pictures_are_there():
    pictures = re.findall(r"\]\((\.\./pictures/[\w.]+)\)", PAGE.read_text())
    assert len(pictures) == 3
    assert all((PAGE.parent / picture).is_file() for picture in pictures)
