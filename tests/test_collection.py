"""The tests are found, or skipped with a reason, also where the extra `train` is not installed."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_COLLECT = """
import sys, pytest

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "anny", "igl", "skimage", "threadpoolctl", "webdataset"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "tests"]))
"""


def test_without_the_extra_train_no_test_file_fails():
    command = [sys.executable, "-c", _COLLECT]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
