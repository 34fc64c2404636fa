"""The one error type that a user sees, and those of its kinds that engines raise."""


class UserError(Exception):
    """A request that cannot be met.

    The command line prints it as one message and exits with code 2, so it says three
    things: what happened, why, and what the user can do about it.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}. {remedy}")
        self.what, self.why, self.remedy = what, why, remedy

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str, str]]:
        return type(self), (self.what, self.why, self.remedy)  # for errors of other processes


class EngineAbsentError(UserError):
    """An engine whose package or driver is not here."""


class EngineBrokenError(UserError):
    """An engine that is here but does not do its work."""


class NotShippedError(UserError):
    """A network whose weights this version does not carry."""


class SpecMismatchError(UserError):
    """A network file whose names or shapes are not those of its spec."""


class PrecisionAbsentError(UserError):
    """A precision that an engine does not compute in on this device."""
