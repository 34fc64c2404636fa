"""Every row of the pages' tables names a function and a test that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[3]
PAGES = {
    name: (ROOT / "docs" / "papers" / f"{name}.md").read_text() for name in ("multiview", "stn")
}
ROW = re.compile(r"^\| .*\| `([\w.]+)` \| `([\w/.]+)::(\w+)` \|$", re.MULTILINE)
ROWS = [row for page in PAGES.values() for row in ROW.findall(page)]


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
    assert f"def {test}(" in (ROOT / file).read_text()


def test_the_tables_are_whole():
    for number in range(3, 17):
        assert f"| eq. {number}" in PAGES["multiview"]
    for number in range(1, 7):
        assert f"eq. {number}" in PAGES["stn"]
    assert len(ROWS) >= 35
