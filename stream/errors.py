"""The one error type that a user sees."""


class UserError(Exception):
    """A request that cannot be met.

    The command line prints it as one message and exits with code 2, so it says three
    things: what happened, why, and what the user can do about it.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}. {remedy}")
        self.what, self.why, self.remedy = what, why, remedy
