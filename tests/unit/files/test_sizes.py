"""Numbers of bytes in words."""

import pytest

from caebench.files.sizes import size


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(31e6, "31 MB"), (4e5, "less than 1 MB"), (0, "0 MB"), (1e8, "0.1 GB"), (2.55e12, "2550.0 GB")],
)
def test_a_size_in_words(num_bytes, words):
    assert size(num_bytes) == words
