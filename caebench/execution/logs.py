"""Logging: plain lines on standard error, from warnings upwards unless CAEBENCH_LOG asks for more."""

import logging
import os

from caebench.files.visible import visible


class PlainFormatter(logging.Formatter):
    """Level and message; what a terminal would obey in a message of ours or of a library is an escape."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        return visible(super().format(record))


def write_plain_logs() -> None:
    """Set up logging for this process; CAEBENCH_LOG names the level."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    logging.basicConfig(handlers=[handler], level=os.environ.get("CAEBENCH_LOG", "WARNING"))
