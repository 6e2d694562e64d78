"""The errors a user can mend: each message says what was wrong, what was expected and what to do."""


class InputError(ValueError):
    """Input or settings that cannot be used; the command line prints the message alone and exits with 2."""


class RunError(RuntimeError):
    """Work that was begun and could not be finished; the command line prints the message alone and exits with 1."""
