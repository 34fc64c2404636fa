"""Every row of the page's table names a function and a test that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "papers" / "depthnets.md"
ROWS = re.findall(r"^\| .*\| `([\w.]+)` \| `([\w/.]+)::(\w+)` \|$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("function", "file", "test"), ROWS)
def test_function_and_test_exist(function, file, test):
    module, name = function.rsplit(".", 1)
    assert callable(getattr(import_module(module), name))
    assert f"def {test}(" in (ROOT / file).read_text()


def test_the_table_is_whole():
    named = PAGE.read_text()
    assert len(ROWS) >= 16
    for number in (1, 2, 3):
        assert f"| eq. {number} |" in named
