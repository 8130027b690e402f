"""Words go to `logging`: plain lines on standard error, warnings and worse unless asked for more."""

import logging
import os


def write_plain_logs() -> None:
    """Set up logging once for this process; CAEBENCH_LOG names the level."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=os.environ.get("CAEBENCH_LOG", "WARNING"))
