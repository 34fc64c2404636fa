"""The doctor: it proves what it says, survives crashes, and names what mends."""

import json
import sys

import pytest

from engines import probe
from engines.tiny import tiny_answer
from stream import __main__ as program
from stream import doctor, system_packages
from stream.doctor import Finding, check_here, examine, run_doctor
from stream.doctor_checks import CHECKS, Check, PartError
from stream.errors import UserError
from stream.system_packages import install_command, missing_library


@pytest.mark.parametrize("name", ["opengl", "head_model", "codecs", "tracking"])
def test_what_the_main_job_needs_works_here(name):
    finding = check_here(name)
    assert finding.status == "ok", finding
    assert finding.needed
    assert finding.detail


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_engines_run_a_tiny_network(name):
    pytest.importorskip(name)
    finding = check_here(name)
    assert finding.status == "ok"
    assert finding.detail.startswith(f"{name} ")
    assert "ran a convolution" in finding.detail


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_engines_that_cannot_run_here_say_what_installs_them(name):
    finding = check_here(name)
    if finding.status == "ok":
        assert "ran a convolution" in finding.detail
    else:
        assert "pip install" in finding.remedy or "nvidia.com/drivers" in finding.remedy


def test_an_engine_that_computes_wrongly_is_noticed(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(probe, "tiny_answer", lambda picture: tiny_answer(picture) + 1)
    finding = check_here("onnxruntime")
    assert finding.status == "broken"
    assert "computes wrongly" in finding.detail


def raising(error):
    def run():
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "remedy"),
    [
        (UserError("no such part", "gone", "buy one"), "missing", "buy one"),
        (PartError("the part", "draws wrongly", "update it"), "broken", "update it"),
        (ImportError("No module named 'x'"), "missing", "general remedy"),
        (RuntimeError("line one\nline two"), "broken", "general remedy"),
    ],
)
def test_failures_are_told_apart_and_always_have_a_remedy(monkeypatch, error, status, remedy):
    monkeypatch.setitem(CHECKS, "part", Check("part", raising(error), "general remedy"))
    finding = check_here("part")
    assert (finding.status, finding.remedy) == (status, remedy)
    assert "\n" not in finding.detail


def test_a_check_that_crashes_its_process_is_broken(monkeypatch, tmp_path):
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\necho boom >&2\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    finding = examine("opengl")
    assert finding.status == "broken"
    assert "ended with code" in finding.detail
    assert finding.remedy


def test_a_check_that_hangs_is_broken(monkeypatch, tmp_path):
    hang = tmp_path / "python"
    hang.write_text("#!/bin/sh\nexec sleep 30\n")
    hang.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hang))
    finding = examine("opengl", timeout_s=0.3)
    assert finding.status == "broken"
    assert "did not answer" in finding.detail


def test_a_check_runs_in_a_process_of_its_own():
    assert examine("head_model").status == "ok"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("broken", "code"), [(None, 0), ("camera", 0), ("opengl", 2)])
def test_the_exit_code_says_whether_the_main_job_works(monkeypatch, capsys, broken, code, as_json):
    def fake(name):
        if name == broken:
            return Finding(name, CHECKS[name].needed, "broken", "why", 'pip install "x[y]"')
        return Finding(name, CHECKS[name].needed, "ok", "fine")

    monkeypatch.setattr(doctor, "examine", fake)
    assert run_doctor(as_json) == code
    text = capsys.readouterr().out
    if as_json:
        content = json.loads(text)
        assert content["works"] == (code == 0)
        assert {part["name"] for part in content["parts"]} == set(CHECKS)
    else:
        assert all(check.title in text for check in CHECKS.values())
        assert ("x[y]" in text) == (broken is not None)


def test_every_check_has_a_remedy_and_the_needed_ones_are_the_main_job():
    assert all(check.remedy for check in CHECKS.values())
    needed = {name for name, check in CHECKS.items() if check.needed}
    assert needed == {"opengl", "tracking", "head_model", "codecs"}


def test_a_missing_system_library_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(system_packages.sys, "platform", "linux")
    text = "libgthread-2.0.so.0: cannot open shared object file: No such file or directory"
    monkeypatch.setitem(CHECKS, "part", Check("part", raising(ImportError(text)), "reinstall"))
    finding = check_here("part")
    assert finding.status == "missing"
    assert "libgthread-2.0.so.0" in finding.detail
    assert "glib2" in finding.remedy
    assert missing_library(ImportError("No module named 'cv2'")) is None
    unknown = missing_library(ImportError("libodd.so.3: cannot open shared object file"))
    assert "libodd.so.3" in str(unknown)


def test_the_program_says_which_system_library_is_missing(monkeypatch, capsys):
    def fail(arguments):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(program, "_silence_native_chatter", lambda: None)
    monkeypatch.setattr("stream.cli.run_command", fail)
    monkeypatch.setattr(system_packages.sys, "platform", "linux")
    assert program.main([]) == 2
    assert "libGL.so.1 is missing" in capsys.readouterr().err


def test_a_fault_of_the_program_itself_is_one_message(monkeypatch, capsys):
    def fail(arguments):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(program, "_silence_native_chatter", lambda: None)
    monkeypatch.setattr("stream.cli.run_command", fail)
    assert program.main([]) == 1
    assert "a fault in voltface: ZeroDivisionError" in capsys.readouterr().err
    assert program.main([], stops=[2]) == 130
    assert capsys.readouterr().err == ""


def test_the_install_command_is_that_of_the_system(monkeypatch):
    for tool, expected in (("apt-get", "apt-get install a"), ("dnf", "dnf install d")):
        monkeypatch.setattr(system_packages.shutil, "which", lambda name, there=tool: name == there)
        assert install_command(apt="a", dnf="d").endswith(expected)


def test_a_folder_with_files_of_the_same_names_disturbs_no_check(tmp_path, monkeypatch):
    for name in ("stream", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    assert examine("head_model").status == "ok"
