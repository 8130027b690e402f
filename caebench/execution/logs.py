"""Logging: plain lines on standard error, from warnings upwards unless CAEBENCH_LOG asks for more."""

import logging
import os


def write_plain_logs() -> None:
    """Set up logging for this process; CAEBENCH_LOG names the level."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=os.environ.get("CAEBENCH_LOG", "WARNING"))
