"""The error for what is not installed. Engines and corpora come from pip, npm and apt; few machines have all."""


class MissingPackage(RuntimeError):
    """What an engine or a corpus needs is not there; the message says how to get it."""
