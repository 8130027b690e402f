"""What stands in a cell."""

from caebench.published import Published
from caebench.report.table import Entry


def test_a_cell_says_that_seeds_are_missing():
    entry = Entry("done", (24.0, 26.0), 25.0, 1.4, None, num_asked=3)
    assert entry.text() == "25.0 +- 1.4 [2 of 3]"


def test_a_complete_cell_says_nothing_of_seeds():
    entry = Entry("done", (24.0, 26.0), 25.0, 1.4, Published(77.1, "somewhere", "high"), num_asked=2)
    assert entry.text() == "25.0 +- 1.4 (77.1)"
