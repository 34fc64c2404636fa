import os
import subprocess
import sys

from stream.quiet import quiet_stderr


def test_noise_is_dropped_and_the_rest_passes(capfd) -> None:
    with quiet_stderr():
        os.write(2, b"W0000 00:00:17 123 calculator.cc:114] chatter\n")
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"disk full\n")
        sys.stderr.write("said in Python\n")
    assert sorted(capfd.readouterr().err.splitlines()) == ["disk full", "said in Python"]
    os.write(2, b"W0000 after\n")
    assert capfd.readouterr().err == "W0000 after\n"


def test_errors_pass_and_standard_error_is_given_back(capfd) -> None:
    try:
        with quiet_stderr(), quiet_stderr():
            os.write(2, b"before the fault\n")
            raise RuntimeError("fault")
    except RuntimeError as error:
        assert str(error) == "fault"
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before the fault\nafter\n"


def test_works_without_a_standard_error() -> None:
    code = (
        "import os, sys; from stream.quiet import quiet_stderr\n"
        "os.close(2); sys.stderr = None\n"
        "with quiet_stderr(): print('ran')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ran\n")
