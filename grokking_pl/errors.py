"""The one exception whose message is meant for the user."""


class UserError(ValueError):
    """Something the user gave is wrong: the message says what was given, what was expected and what to do.

    The command line prints it as one line, without a traceback.
    """
