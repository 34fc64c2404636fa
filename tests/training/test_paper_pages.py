"""Every row of the papers' tables names a function and a test that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "papers").glob("*.md"))}
ROW = re.compile(r"^\| .*\| `([\w.]+)` \| `([\w/.]+)::(\w+)` \|$", re.MULTILINE)
ROWS = [row for page in PAGES.values() for row in ROW.findall(page)]
EQUATIONS = {  # that a page must speak of
    "deep3dportrait": range(1, 14),
    "depthnets": range(1, 4),
    "multiview": range(1, 17),
    "pix2vertex": (*range(1, 11), 12, 13, 14),  # 11 stands between 10 and 12
    "stn": range(1, 7),
}


def test_each_of_the_five_papers_has_a_page_and_each_row_of_a_table_is_read():
    assert set(PAGES) == set(EQUATIONS)
    for page in PAGES.values():
        table = page.split("| paper | what | function | test |\n| --- | --- | --- | --- |\n")[1]
        rows = table.split("\n\n")[0].splitlines()
        assert len(ROW.findall(page)) == len(rows) >= 15


@pytest.mark.parametrize(("function", "file", "test"), ROWS)
def test_function_and_test_exist(function, file, test):
    parts = function.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
            break
        except ModuleNotFoundError:
            continue
    for part in parts[cut:]:
        found = getattr(found, part)
    assert callable(found)
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", EQUATIONS)
def test_no_equation_is_left_out(name):
    rows = re.findall(r"^\| (.*?) \|", PAGES[name], re.MULTILINE)
    spans = re.findall(r"eqs?\. ([\d, and to]+)", " ; ".join(rows))
    named = {int(number) for span in spans for number in re.findall(r"\d+", span)}
    for first, last in re.findall(r"(\d+) to (\d+)", " ; ".join(spans)):
        named |= set(range(int(first), int(last) + 1))
    assert set(EQUATIONS[name]) <= named


@pytest.mark.parametrize("name", PAGES)
def test_its_pictures_are_there(name):
    pictures = re.findall(r"\]\((\.\./pictures/[\w.]+)\)", PAGES[name])
    assert all((ROOT / "docs" / "papers" / picture).is_file() for picture in pictures)
