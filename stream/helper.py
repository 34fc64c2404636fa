"""A helper: an object that works beside the path of a frame, mostly in a process of its own.

Python runs one thread of a process at a time. What works beside the path in another thread
therefore stops the path, and the path stops it; in a process of its own it takes another core.
Where there can be no such process, or it would not pay, the same object works in a thread.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from abc import abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast

from stream.closing import Closing
from stream.link import Link
from stream.mailbox import Inbox, Outbox, shared_file

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bound=Closing)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
P = ParamSpec("P")

_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
_START += "from stream.helper_process import serve; serve(*map(int, sys.argv[2:]))"
_END_S = 2.0
_PIPE = 1 << 14  # bytes that a pipe takes in, of any system here, before anybody reads them
_log = logging.getLogger("voltface")


class HelperLostError(RuntimeError):
    """The helper's process has ended."""


class Answer(Protocol[R_co]):
    """What a call of a helper will return."""

    def result(self) -> R_co:
        """Wait for it.

        Raises:
            HelperLostError: if the helper has ended.
            Exception: that the call has raised.
        """


class Helper(Closing, Generic[T]):
    """Calls methods of an object, one after the other, while the caller goes on.

    Calls must come from one thread.
    """

    def wait(self) -> None:
        """Wait until the object is there; raises what went wrong while it was made."""

    @abstractmethod
    def call(
        self, method: Callable[Concatenate[T, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Answer[R]:
        """Call a method of the object after all that was asked for before.

        Args:
            method: of the object's class.
            *args: of the method; not to be written to before it has answered.
            **kwargs: likewise.
        """


class ThreadHelper(Helper[T]):
    """A helper in a thread.

    Args:
        build: makes the object.
        args: of `build`.
    """

    def __init__(self, build: Callable[..., T], *args: object) -> None:
        self._object = build(*args)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="helper")

    def call(
        self, method: Callable[Concatenate[T, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Answer[R]:
        """Call a method; see `Helper`."""
        return self._thread.submit(method, self._object, *args, **kwargs)

    def close(self) -> None:
        """Close the object when it has done what it was asked for."""
        self._thread.shutdown()
        self._object.close()


class _Awaited(Answer[Any]):
    """An answer of the helper's process, to a request that took so many bytes of the pipe."""

    def __init__(self, helper: ProcessHelper[Any], asked: int) -> None:
        self._helper, self.asked = helper, asked
        self._value: object = None
        self._error: BaseException | None = None
        self._there = False

    def give(self, value: object, error: BaseException | None) -> None:
        self._value, self._error, self._there = value, error, True

    def result(self) -> Any:  # noqa: ANN401  of any method
        while not self._there:
            self._helper.receive()
        if self._error is not None:
            raise self._error
        return self._value


class ProcessHelper(Helper[T]):
    """A helper in a process of its own; POSIX only.

    What it logs for users is logged here. Ctrl-C does not reach it: it ends with its owner.

    Arrays are copied once, by who sends them, into memory that both processes share, and are read
    there: those of an answer are the caller's own for as long as it likes, but then take room.

    Args:
        room: bytes of arrays that may be on their way or kept at a time, in each direction; what
            is more goes through the pipe, which is slower.
        build: makes the object there; can be pickled.
        args: of `build`.

    Raises:
        OSError: if there can be no such process.
        Exception: what `build` has raised.
    """

    def __init__(self, room: int, build: Callable[..., T], *args: object) -> None:
        self._pending: deque[_Awaited] = deque()
        self._asked = 0  # bytes that may still be in the pipe
        files = shared_file(room), shared_file(room)
        try:
            boxes = Inbox(files[1], room), Outbox(files[0], room)
            self._process = self._started(files, room)
        finally:
            for file in files:
                os.close(file)
        assert self._process.stdin is not None  # noqa: S101  it was asked for
        assert self._process.stdout is not None  # noqa: S101  likewise
        self._link = Link(*boxes, self._process.stdout, self._process.stdin)
        self._built = self._send(("", build, args))

    def _started(self, files: tuple[int, int], room: int) -> subprocess.Popen[bytes]:
        given = [json.dumps(sys.path), *map(str, (*files, room))]
        return subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, "-P", "-c", _START, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=files,
        )

    def wait(self) -> None:
        """Wait until the object is there; raises what went wrong while it was made."""
        self._built.result()

    def call(
        self, method: Callable[Concatenate[T, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Answer[R]:
        """Call a method; see `Helper`. What it is given are copies."""
        return cast("Answer[R]", self._send((method.__name__, args, kwargs)))

    def _send(self, request: tuple[object, ...]) -> _Awaited:
        message = self._link.packed(request)
        if not message.fits and self._pending:
            self._link.withdraw(message)
            self._catch_up(0)  # the helper lets go of what it was given before
            message = self._link.packed(request)
        # Neither side may wait for the other to read what it writes, while that one writes, too.
        answer = _Awaited(self, self._link.size(message))
        self._catch_up(_PIPE - answer.asked)
        try:
            self._link.send(message)
        except OSError as error:
            raise self._lost() from error
        self._asked += answer.asked
        self._pending.append(answer)
        return answer

    def _catch_up(self, most: int) -> None:
        """Take in answers until at most so many bytes of requests are unanswered, or none is."""
        while self._pending and self._asked > most:
            self.receive()

    def receive(self) -> None:
        """Take in the next answer."""
        try:
            (value, raised), records = self._link.receive()
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._lost() from error
        for record in records:
            logging.getLogger(record.name).handle(record)
        answer = self._pending.popleft()
        self._asked -= answer.asked
        answer.give(value, raised)

    def _lost(self) -> HelperLostError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.returncode
        return HelperLostError(f"the helper process ended unexpectedly (code {code})")

    def close(self) -> None:
        """End the process; closing twice does no harm."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._link.close()


def open_helper(room: int, build: Callable[..., T], *args: object) -> Helper[T]:
    """Return a helper in a process of its own where there can be one, else in a thread.

    The process may still be starting: `Helper.wait` tells when it is there.

    Args:
        room: see `ProcessHelper`.
        build: makes the object; can be pickled.
        args: of `build`.
    """
    # A frozen program is not its interpreter: it would start itself.
    if os.name == "posix" and sys.executable and not getattr(sys, "frozen", False):
        try:
            return ProcessHelper(room, build, *args)
        except OSError as error:
            _log.info("no helper process (%s): a thread does its work", error)
    return ThreadHelper(build, *args)
