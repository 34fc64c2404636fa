"""Output files that carry a temporary name until they are whole."""

import errno
import io
from pathlib import Path

from stream.errors import UserError


def partial_path(path: Path) -> Path:
    """Return the temporary name beside an output: ``out.mp4`` → ``.out.partial.mp4``."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def write_refused(path: Path, error: OSError, kept: Path | None = None) -> UserError:
    """Explain why a file cannot be written, and where the part that is written lies."""
    remedies = {
        errno.ENOSPC: "Free some space or choose another disk.",
        errno.EDQUOT: "Free some space or choose another disk.",
        errno.EFBIG: "Choose a disk and a format that hold files of this size.",
        errno.EACCES: "Choose a folder that you may write to.",
        errno.EPERM: "Choose a folder that you may write to.",
        errno.EROFS: "Choose a disk that can be written to.",
    }
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "your share of the disk is full",
        errno.EACCES: "this user may not write there",
    }
    code = error.errno or 0
    reason = reasons.get(code, error.strerror or str(error))
    remedy = remedies.get(code, "Check the disk.")
    if kept is not None:
        remedy += f" What was written until then is in {kept}."
    return UserError(f"Cannot write {path}", reason, remedy)


class PartialFile(io.RawIOBase):
    """A file under its temporary name, for a multiplexer to write into.

    After the first failure nothing touches the file any more: what is on the disk by
    then plays, and finishing it on a full disk would spoil that.

    Attributes:
        path: the temporary name.
        failure: the first error, None while all is well.
    """

    def __init__(self, target: Path) -> None:
        self.path = partial_path(target)
        self.failure: OSError | None = None
        self._target = target
        try:
            self.path.unlink(missing_ok=True)
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise write_refused(target, error) from None

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of the data; after a failure pretend to."""
        rest = memoryview(data)
        while rest and self.failure is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.failure = error
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def check(self) -> None:
        """Raise the UserError of the first failure, if there was one."""
        if self.failure is not None:
            raise write_refused(self._target, self.failure, self.path) from self.failure

    def keep(self) -> None:
        """Close the file and leave it under its temporary name."""
        self._file.close()

    def finish(self) -> None:
        """Close the file and give it its name.

        Raises:
            UserError: it cannot be renamed.
        """
        self._file.close()
        try:
            self.path.replace(self._target)
        except OSError as error:
            raise write_refused(self._target, error, self.path) from None

    def discard(self) -> None:
        """Close the file and delete it."""
        self._file.close()
        self.path.unlink(missing_ok=True)
