"""The one exception that a person is meant to read."""


class InputError(ValueError):
    """What was given cannot be used; the message is one line: which file, what is wrong, what to do."""
