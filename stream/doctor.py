"""``voltface doctor``: tries every part, each in a process of its own, and shows a table."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stream.doctor_checks import CHECKS, PartError
from stream.errors import UserError
from stream.system_packages import missing_library

Status = Literal["ok", "missing", "broken"]

_TIMEOUT_S = 60.0
_AT_ONCE = 3
_COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check.

    Attributes:
        name: of the check.
        needed: whether the main job needs it.
        status: ok, missing (not here, or not set up) or broken (here, but fails).
        detail: what works, or why it does not.
        remedy: how to mend it; empty where it works.
    """

    name: str
    needed: bool
    status: Status
    detail: str
    remedy: str = ""


def run_doctor(as_json: bool) -> int:
    """Try every part and print what came of it.

    Args:
        as_json: print JSON instead of a table.

    Returns:
        0 where the main job works, else 2.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        findings = list(pool.map(examine, CHECKS))
    works = all(finding.status == "ok" for finding in findings if finding.needed)
    if as_json:
        content = {"works": works, "parts": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        _show(findings, works)
    return 0 if works else 2


def examine(name: str, timeout_s: float = _TIMEOUT_S) -> Finding:
    """Run one check in a process of its own, which may crash or hang."""
    check = CHECKS[name]
    # Not from the current folder, where something else may be called stream or numpy.
    command = [sys.executable, "-P", "-m", "stream.doctor", name]
    own = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(  # noqa: S603  our own module
            command,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        detail = f"it did not answer within {timeout_s:.0f} s"
        return Finding(name, check.needed, "broken", detail, check.remedy)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and lines:
        return Finding(**json.loads(lines[-1]))
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    detail = f"the process ended with code {done.returncode} ({last})"
    return Finding(name, check.needed, "broken", detail, check.remedy)


def check_here(name: str) -> Finding:
    """Run one check in this process."""
    check = CHECKS[name]
    try:
        detail = check.run()
    except UserError as error:
        status: Status = "broken" if isinstance(error, PartError) else "missing"
        return Finding(name, check.needed, status, f"{error.what}: {error.why}", error.remedy)
    except ImportError as error:
        known = missing_library(error)
        detail, remedy = (known.why, known.remedy) if known else (str(error), check.remedy)
        return Finding(name, check.needed, "missing", detail, remedy)
    except Exception as error:  # noqa: BLE001  whatever fails is what is asked for
        detail = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(name, check.needed, "broken", detail, check.remedy)
    return Finding(name, check.needed, "ok", detail)


def _show(findings: list[Finding], works: bool) -> None:
    console = Console(file=sys.stdout)
    table = Table("part", "state", "what was found; what mends it")
    for finding in findings:
        state = f"[{_COLOURS[finding.status]}]{finding.status}[/]"
        if finding.needed:
            state += " (needed)"
        lines = [finding.detail, f"→ {finding.remedy}"] if finding.remedy else [finding.detail]
        table.add_row(CHECKS[finding.name].title, state, escape("\n".join(lines)))
    console.print(table, markup=True)
    console.print(
        "voltface can turn heads here."
        if works
        else "voltface cannot turn heads here until the needed parts work."
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(check_here(sys.argv[1]))) + "\n")
