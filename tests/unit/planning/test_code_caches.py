"""Code caches in a plan: who shares one, what it costs and saves; and nothing else changes."""

import pytest

from caebench.execution.schedulers.slurm.submissions import bundle
from caebench.planning.code_caches import cache_facts, shared_epochs, with_code_caches
from caebench.planning.graph import Plans, make_plan
from caebench.planning.scale import SCALES
from caebench.specs.cost import A100_BF16, UTILISATION, gpu_hours
from caebench.specs.inputs.code_cache import CODES, Codes
from caebench.specs.job import make_job
from caebench.specs.methods.beit import BEiT
from caebench.specs.registry import SOURCES
from caebench.specs.site import Site
from caebench.store.store import Store
from caebench.suites import loading as suites

IMAGES = 1_281_167


def nothing(job):
    return False


def planned(*names, seeds=(0,), scale="paper"):
    return Plans("some", tuple(make_plan(suites.load(name), SCALES[scale], seeds) for name in names))


@pytest.fixture(scope="module")
def depth():
    return planned("ablation-depth")


@pytest.fixture(scope="module")
def cached(depth):
    return with_code_caches(depth, 200.0, nothing)


def caches(plans):
    return [job for job in plans.jobs if isinstance(job.config, Codes)]


def pretrainings(plans):
    return [job for job in plans.jobs if job.kind == "pretrain"]


def test_a_suite_shares_one_cache_and_every_other_job_keeps_its_id(depth, cached):
    (cache,) = caches(cached)
    assert {job.id for job in cached.jobs} == {job.id for job in depth.jobs} | {cache.id}
    assert len(pretrainings(cached)) == 5 and all(
        job.optional_inputs[CODES].id == cache.id for job in pretrainings(cached)
    )
    order = {job.id: number for number, job in enumerate(cached.jobs)}
    assert all(order[parent.id] < order[job.id] for job in cached.jobs for parent in job.parents)


def test_sizes_and_savings_at_paper_scale(depth, cached):
    """196 codes and a checksum of two bytes each; 26.1 G multiply-adds for each view."""
    (facts,) = cache_facts(cached.jobs)
    hours = 2 * 26.1e9 * IMAGES * 300 / (A100_BF16 * UTILISATION) / 3600
    assert facts["image_bytes"] == 394 and facts["epochs"] == 300 and facts["shared_by"] == 5
    assert facts["disk_bytes"] == 394 * IMAGES * 300 == caches(cached)[0].config.disk_bytes({})
    assert facts["gpu_hours"] == pytest.approx(hours) and facts["gpu_hours_saved"] == pytest.approx(5 * hours)
    before, after = (sum(map(gpu_hours, plans.jobs)) for plans in (depth, cached))
    assert before - after == pytest.approx(4 * hours)


def test_without_the_wish_the_plan_is_as_before(depth):
    assert Site().code_cache_gb is None
    assert with_code_caches(depth, None, nothing) is depth


def test_pretrainings_of_other_codes_share_nothing():
    assert len(caches(with_code_caches(planned("ablation-depth", seeds=(0, 1)), 200.0, nothing))) == 2
    assert caches(with_code_caches(planned("ablation-targets"), 200.0, nothing)) == []


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"crop_scale_min": 0.2}, {"image_size": 192}],
    ids=str,
)
def test_whatever_the_tokenizer_sees_is_in_the_key(change):
    config = SOURCES["cae"]()
    assert config.replace(**change).codes(1) != config.codes(1)


def test_what_it_does_not_see_is_not():
    config, beit = SOURCES["cae"](), SOURCES["beit"]()
    other = config.replace(
        variant="vit_l",
        method=config.method.replace(align_weight=0.0),
        optimization=config.optimization.replace(global_batch=1024, epochs=800, precision="fp32"),
    )
    assert other.codes(1) == config.codes(1)
    assert isinstance(beit.method, BEiT) and beit.codes(1) != config.codes(1)  # its colour jitter
    plain = beit.replace(method=beit.method.replace(color_jitter=0.0))
    assert plain.codes(1) == config.codes(1)
    assert SOURCES["cae"](target="pixels").codes(1) is None and SOURCES["mae"]().codes(1) is None


def test_only_epochs_that_two_go_through_are_cached_as_far_as_the_disk_holds_them():
    group = [make_job(SOURCES["cae"](epochs=epochs)) for epochs in (1600, 300, 800)]
    codes = group[0].config.codes(1)
    assert shared_epochs(codes, group, 1e6) == 800
    assert shared_epochs(codes, group[:1], 1e6) == 0
    assert shared_epochs(codes, group, 100.0) == int(100e9 / (394 * IMAGES)) == 198
    assert shared_epochs(codes, group, 0.1) == 0


def test_what_is_done_needs_no_cache_and_one_alone_only_takes_what_is_there(depth, cached):
    (cache,) = caches(cached)
    first, *others = pretrainings(depth)
    done = {job.id for job in others}
    assert with_code_caches(depth, 200.0, lambda job: job.id in done) is depth
    left = with_code_caches(depth, 200.0, lambda job: job.id in done | {cache.id})
    assert [job.id for job in left.jobs if job.optional_inputs] == [first.id]


def test_slurm_starts_pretrainings_behind_their_cache(cached):
    found = bundle(cached.jobs, lambda job: job.kind, 1000)
    (cache,) = caches(cached)
    waiting = [one for one in found if one.jobs[0].kind == "pretrain"]
    assert sum(len(one.jobs) for one in waiting) == 5
    assert all(cache.id in {job.id for job in one.after} for one in waiting)


def test_a_job_file_names_the_cache_and_the_inputs(cached, tmp_path):
    store, job = Store(tmp_path), pretrainings(cached)[0]
    for known in (*job.ancestors(), job):
        store.prepare(known)
    found = store.read_job(store.folder(job))
    assert found.id == job.id and found.optional_inputs[CODES].id == job.optional_inputs[CODES].id
    assert store.folder(job) in store.dependents(store.folder(job.optional_inputs[CODES]))
