"""Published numbers, each with its source. A number that was not found is absent, never guessed.

`paper` has the CAE paper's tables (T1 to T8) and text; `official` the table of the official repository's README,
`official-first` that of the earlier repository; `third-party` re-runs by others; `related` numbers near the paper's.
"""

from collections.abc import Mapping

from caebench.suites.published.sets import Key, Published, PublishedSet, names, parse_sets, read_set
from caebench.suites.published.spread import noise

__all__ = ["Key", "Published", "PublishedSet", "names", "noise", "paper", "parse_sets", "read_set"]


def paper() -> Mapping[Key, Published]:
    """The CAE paper's numbers by (row id, metric)."""
    return read_set("paper").numbers
