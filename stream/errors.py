"""The one error type that a user sees; it lives in ``engines``, which cannot import this."""

from engines.errors import UserError

__all__ = ["UserError"]
