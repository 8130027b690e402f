"""What is measured."""

import pytest

from caebench.bench.settings import paper_settings


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"--variant 'vit_bb': unknown. Did you mean 'vit_b'\?"):
        paper_settings("vit_bb", 4, "fp32", "none")
