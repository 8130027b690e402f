"""Settings of a site that buy speed or memory: the same weights, to the last bit."""

import pytest
from safetensors.torch import load_file

from caebench.execution.worker import run_job
from caebench.specs.job import Job, make_job
from caebench.specs.registry import SOURCES
from caebench.specs.site import Site
from caebench.store.store import Store


def finish(root, job: Job, **settings):
    """Run a job and what it rests on."""
    store, site = Store(root), Site(store=root, device="cpu", **settings)
    for one in (*job.ancestors(), job):
        assert store.state(one) == "done" or run_job(store.prepare(one), root, site) == "done"
    return store.folder(job)


def weights_under(root, recipe, scale, **settings):
    return load_file(finish(root, make_job(scale.apply(recipe)), **settings) / "encoder.safetensors")


def recipe_of(method):
    return SOURCES["cae"](target="pixels") if method == "cae" else SOURCES[method]()


@pytest.mark.parametrize("method", ["cae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mae", "dino"))])
def test_blocks_that_run_again_in_the_backward_pass(tiny, tmp_path, method):
    plain = weights_under(tmp_path / "plain", recipe_of(method), tiny)
    again = weights_under(tmp_path / "again", recipe_of(method), tiny, activation_checkpointing=True)
    assert plain.keys() == again.keys() and all(plain[name].equal(again[name]) for name in plain)


@pytest.mark.parametrize(
    "method", ["cae with codes", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cae", "beit", "mae"))]
)
def test_views_made_on_the_device(tiny, tmp_path, method):
    """BEiT jitters colours, which Pillow does: its views stay the loaders'."""
    recipe = SOURCES["cae"](target="dvae") if method == "cae with codes" else recipe_of(method)
    plain = weights_under(tmp_path / "loader", recipe, tiny)
    moved = weights_under(tmp_path / "device", recipe, tiny, resize="device", num_workers=1)
    assert plain.keys() == moved.keys() and all(plain[name].equal(moved[name]) for name in plain)
