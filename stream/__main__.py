"""The command ``voltface``, also ``python -m stream``."""

import errno
import faulthandler
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType

from stream.errors import UserError
from stream.system_packages import missing_library

_INTERRUPTED = 130


def program() -> None:
    """Run the command of this process and end it; SIGTERM interrupts it as Ctrl-C does."""
    stops: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stops.append(number)
        raise KeyboardInterrupt

    signals = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    for number in signals:
        signal.signal(number, stop)
    code = main(stops=stops)
    for number in signals:  # the end is near, and another Ctrl-C would only make a mess of it
        signal.signal(number, signal.SIG_IGN)
    if code == _INTERRUPTED or any(thread.daemon for thread in threading.enumerate()):
        # A camera's driver may hold its thread for ever. Python would end it in mid-call while
        # it shuts down, which aborts the process: leave without that. An interruption that met
        # a library in mid-import leaves that in no better state.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None, stops: Sequence[int] = ()) -> int:
    """Run one command and turn what it raises into one message and an exit code.

    Args:
        arguments: those after the program's name; of this process unless given.
        stops: the signals that have broken the command off; a library that was hit by one while
            it was loaded may raise any error in place of KeyboardInterrupt.

    Returns:
        0 done, 1 a fault in voltface itself, 2 the request cannot be met, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "--verbose" in given
    if not verbose:
        _silence_native_chatter()
    try:
        from stream.cli import run_command  # noqa: PLC0415  Ctrl-C is heard from here on

        return run_command(given)
    except UserError as error:
        _say(str(error), verbose)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return 2
    except Exception as error:  # noqa: BLE001  the last resort: no traceback for users
        if stops:
            return _INTERRUPTED
        return _fault(error, verbose)


def _known(error: Exception) -> UserError | None:
    """Return what the user can do about an error that no command has explained."""
    if isinstance(error, ImportError):
        return missing_library(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = error.filename or "what was asked for"
        return UserError(f"Cannot write {where}", "the disk is full", "Make room, and try again")
    return None


def _fault(error: Exception, verbose: bool) -> int:
    """Say what went wrong, and return the exit code."""
    if known := _known(error):
        _say(str(known), verbose)
        return 2
    fault = f"a fault in voltface: {type(error).__name__}: {error}"
    _say(f"{fault}. Run it again with --verbose to see where", verbose)
    return 1


def _say(message: str, verbose: bool) -> None:
    if verbose:
        traceback.print_exc()
    print(f"voltface: {message}", file=sys.stderr)


def _silence_native_chatter() -> None:
    """Keep what native libraries write past Python off the terminal.

    MediaPipe, Mesa and the codecs log to file descriptor 2 whatever they are told, which
    would bury the one message of an error. Python's own standard error moves to a copy of
    the descriptor, and the original goes nowhere.
    """
    try:
        copy = os.dup(2)
    except OSError:  # started without standard error
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  as long as the process
        return
    sys.stderr = os.fdopen(copy, "w", buffering=1, errors="backslashreplace")
    faulthandler.enable(file=sys.stderr)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  a descriptor is what is wanted
        os.dup2(nowhere.fileno(), 2)
    logging.captureWarnings(True)


if __name__ == "__main__":
    program()
