"""Blocks that run again in the backward pass: the same weights, in pretrainings of several passes too."""

import pytest
from safetensors.torch import load_file

from caebench.config.site import Site
from caebench.execution.worker import run_job
from caebench.plan.graph import Job, make_job
from caebench.plan.store import Store
from caebench.recipes import SOURCES


def finish(root, job: Job, **settings):
    """Run a job and what it rests on."""
    store, site = Store(root), Site(store=root, device="cpu", **settings)
    for one in (*job.ancestors(), job):
        assert store.state(one) == "done" or run_job(store.prepare(one), root, site) == "done"
    return store.folder(job)


@pytest.mark.parametrize("method", ["cae", "mae", "dino"])
def test_the_weights_are_the_same(tiny, tmp_path, method):
    recipe = SOURCES["cae"](target="pixels") if method == "cae" else SOURCES[method]()
    encoder = make_job(tiny.apply(recipe))
    plain, again = (
        load_file(finish(tmp_path / str(on), encoder, activation_checkpointing=on) / "encoder.safetensors")
        for on in (False, True)
    )
    assert plain.keys() == again.keys() and all(plain[name].equal(again[name]) for name in plain)
