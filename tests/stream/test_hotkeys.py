"""Hotkeys: which keys they give, and what is said where there are none."""

import shutil
import subprocess
import sys
import types

import pytest

from stream import hotkeys
from stream.errors import UserError
from stream.hotkeys import LETTERS, Hotkeys
from stream.motion import Controls

PRESS_ALL = """
from stream.hotkeys import LETTERS, Hotkeys
from Xlib import X, XK, display
from Xlib.ext import xtest
with Hotkeys() as keys:
    user = display.Display()
    def press(names):
        codes = [user.keysym_to_keycode(XK.string_to_keysym(name)) for name in names]
        for code in codes:
            xtest.fake_input(user, X.KeyPress, code)
        for code in reversed(codes):
            xtest.fake_input(user, X.KeyRelease, code)
        user.sync()
    for letter in LETTERS:
        press(["Control_L", "Alt_L", "Shift_L", letter])
    press(["j"])
    press(["Control_L", "j"])
    print(keys.poll_keys(), keys.poll_keys())
"""


def test_every_key_does_something():
    for name in set(LETTERS.values()) - {"c"}:  # which the path of a puppet takes
        controls = Controls(yaw=1.0)
        controls.press(name)
        assert controls != Controls(yaw=1.0), name


def test_without_the_extra_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "Xlib", None)
    monkeypatch.setitem(sys.modules, "pynput", None)
    with pytest.raises(UserError, match=r"voltface\[ui\]"):
        Hotkeys()


def test_the_hook_of_windows_and_macos(monkeypatch):
    calls = {}

    class GlobalHotKeys:
        def __init__(self, table):
            calls.update(table)

        def start(self):
            calls["started"] = True

        def stop(self):
            calls["stopped"] = True

    keyboard = types.SimpleNamespace(GlobalHotKeys=GlobalHotKeys)
    monkeypatch.setitem(sys.modules, "pynput", types.SimpleNamespace(keyboard=keyboard))
    monkeypatch.setattr(hotkeys.sys, "platform", "win32")
    with Hotkeys() as keys:
        assert calls["started"]
        calls["<ctrl>+<alt>+<shift>+j"]()
        calls["<ctrl>+<alt>+<shift>+b"]()
        assert keys.poll_keys() == ["left", "space"]
        assert keys.poll_keys() == []
    assert calls["stopped"]


def test_a_real_x_server():
    pytest.importorskip("Xlib", reason="the extra ui is not installed")
    if not shutil.which("xvfb-run"):
        pytest.skip("xvfb-run is not installed")
    command = ["xvfb-run", "-a", sys.executable, "-c", PRESS_ALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"{list(LETTERS.values())} []"
