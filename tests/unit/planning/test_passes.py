"""Which probes share a pass of their encoder."""

import pytest

from caebench.planning.cost import RESAMPLED, gpu_hours_of_pass_saved
from caebench.planning.passes import find_passes, first_of_each
from caebench.specs.cost import gpu_hours
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.knn import knn
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.evaluations.linear_probe_grid import linear_probe_grid
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import Job, make_job


@pytest.fixture
def encoder():
    return make_job(random_encoder())


@pytest.fixture
def probes(encoder):
    """A linear and an attentive probe, a grid, and k-NN."""
    return [make_job(make(), encoder=encoder) for make in (linear_probe, attentive_probe, linear_probe_grid, knn)]


def names(groups):
    return {key: [job.kind for job in group] for key, group in groups.items()}


def test_probes_of_an_encoder_share_a_pass_and_knn_goes_alone(encoder, probes):
    together = ["linear_probe", "attentive_probe", "linear_probe_grid"]
    groups = find_passes([encoder, *probes])
    assert names(groups) == {job.id: together for job in probes[:3]}
    assert first_of_each([encoder, *probes], groups) == [encoder, probes[0], probes[3]]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"image_size": 112},
        {"crop_scale_min": 0.2},
        {"norm": False},
        {"optimization": linear_probe().optimization.replace(precision="fp32")},
        {"optimization": linear_probe().optimization.replace(global_batch=12000)},  # no multiple of 8192
    ],
)
def test_what_would_change_the_pass_goes_alone(encoder, probes, change):
    other = make_job(linear_probe().replace(**change), encoder=encoder)
    assert names(find_passes([probes[1], other])) == {}


def test_other_rates_epochs_and_features_share_it(encoder, probes):
    optimization = linear_probe().optimization.replace(base_lr=0.2, epochs=30)
    other = make_job(linear_probe().replace(optimization=optimization, feature="mean"), encoder=encoder)
    assert len(find_passes([*probes, other])) == 4


def test_another_encoder_has_a_pass_of_its_own(probes):
    other = make_job(linear_probe(), encoder=make_job(random_encoder().replace(seed=1)))
    assert other.id not in find_passes([*probes, other])


def test_what_is_rested_on_goes_alone(probes):
    dependent = Job(knn(), {"encoder": probes[0]})
    assert probes[0].id not in find_passes([*probes, dependent])


def test_what_the_site_treats_differently_goes_alone(probes):
    assert names(find_passes(probes, alike=lambda job: job.kind)) == {}


def test_a_pass_costs_its_longest_probe_and_the_resampled_crops(probes):
    linear, attentive, grid = (gpu_hours(job) for job in probes[:3])
    trained = linear * 1_281_167 / (1_281_167 + 50_000)
    assert attentive == linear and grid == pytest.approx(trained, rel=0.01)
    assert gpu_hours_of_pass_saved([probes[0], probes[2]]) == pytest.approx(trained)
    assert gpu_hours_of_pass_saved(probes[:2]) == pytest.approx(trained * (1 - RESAMPLED))
    one_try = make_job(attentive_probe().replace(crop="one_try"), encoder=probes[0].inputs["encoder"])
    assert gpu_hours_of_pass_saved([probes[0], one_try]) == pytest.approx(trained)
