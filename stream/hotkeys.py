"""Keys that work while another program has the keyboard, for when there is no window."""

import logging
import sys
from collections import deque
from types import TracebackType
from typing import Any, Protocol, Self

from stream.errors import UserError

_log = logging.getLogger("voltface")

# letter, with Ctrl, Alt and Shift, on the keyboard: key of the preview window
LETTERS = {
    "j": "left",
    "l": "right",
    "i": "up",
    "k": "down",
    "0": "0",
    "c": "c",
    "m": "m",
    "b": "space",
    "q": "q",
}


class _Listener(Protocol):
    def poll(self) -> list[str]:
        """Return the letters pressed since the last call."""
        ...

    def close(self) -> None:
        """Give the keys back."""
        ...


class Hotkeys:
    """The keys of the preview window, with modifiers, wherever the focus is.

    Raises:
        UserError: if this system cannot give such keys, or the extra that brings them is
            not installed.
    """

    def __init__(self) -> None:
        try:
            kind = _XListener if sys.platform.startswith("linux") else _HookListener
            self._listener: _Listener = kind()
        except ImportError as error:
            why = f"{error.name or error} is not installed"
            remedy = 'Install it: pip install "voltface[ui]"'
            raise UserError("--hotkeys does not work here", why, remedy) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def poll_keys(self) -> list[str]:
        """Return the keys pressed since the last call, oldest first, as a window names them."""
        return [LETTERS[letter] for letter in self._listener.poll()]


class _XListener:
    """Asks the X server for the keys; nothing runs between two polls."""

    def __init__(self) -> None:
        from Xlib import XK, X, display, error  # noqa: PLC0415  an extra brings it

        try:
            self._display = display.Display()
        except error.DisplayError as failure:
            why = "there is no X display"
            remedy = "Run it on an X11 desktop; Wayland gives no program such keys"
            raise UserError("--hotkeys does not work here", why, remedy) from failure
        self._pressed = X.KeyPress
        self._letters: dict[int, str] = {}
        refused = error.CatchError(error.BadAccess)
        root = self._display.screen().root
        for letter in LETTERS:
            code = self._display.keysym_to_keycode(XK.string_to_keysym(letter))
            self._letters[code] = letter
            for locks in (0, X.LockMask, X.Mod2Mask, X.LockMask | X.Mod2Mask):
                mask = X.ControlMask | X.Mod1Mask | X.ShiftMask | locks
                mode = X.GrabModeAsync
                root.grab_key(code, mask, False, mode, mode, onerror=refused)
        self._display.sync()
        if refused.get_error():
            _log.warning("some of the hotkeys are taken by another program")

    def poll(self) -> list[str]:
        events = [self._display.next_event() for _ in range(self._display.pending_events())]
        return [self._letters[event.detail] for event in events if event.type == self._pressed]

    def close(self) -> None:
        self._display.close()


class _HookListener:
    """Uses pynput, which listens in a thread of its own."""

    def __init__(self) -> None:
        from pynput import keyboard  # noqa: PLC0415  an extra brings it

        self._queue: deque[str] = deque()
        calls: dict[str, Any] = {
            f"<ctrl>+<alt>+<shift>+{letter}": lambda letter=letter: self._queue.append(letter)
            for letter in LETTERS
        }
        self._hook = keyboard.GlobalHotKeys(calls)
        self._hook.start()

    def poll(self) -> list[str]:
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def close(self) -> None:
        self._hook.stop()
