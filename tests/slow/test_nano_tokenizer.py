"""The tokenizer at nano, trained in full: half a minute."""

import pytest

from caebench.planning.scale import NANO
from caebench.specs.methods.cae import cae
from caebench.specs.site import Site
from caebench.tasks.data import render_data
from caebench.tasks.dvae import train_dvae
from caebench.training.distributed import join_group
from caebench.training.run import Run


@pytest.mark.slow
@pytest.mark.parametrize("target", ["dalle", "dvae"])
def test_nanos_tokenizers_use_a_third_of_their_codes(target, tmp_path):
    """At least 20 of 64; a seed that no table reports."""
    config, data, site, group = NANO.apply(cae(target=target)), tmp_path / "data", Site(device="cpu"), join_group("cpu")
    data.mkdir()
    render_data(config.data, Run(data, {}, site, group))
    (data / "result.json").write_text("{}", encoding="utf8")
    found = train_dvae(config.method.target.tokenizer.replace(seed=3), Run(tmp_path, {"data": data}, site, group))
    assert found["codes_in_use"] >= 20, found
