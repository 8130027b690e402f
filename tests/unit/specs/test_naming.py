"""The readable part of a job's name tells apart what the id tells apart."""

from collections import Counter

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.specs.naming import MOST, deviation
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.suites.loading import load_all


@pytest.mark.parametrize("scale", ["nano", "paper"])
def test_no_two_jobs_of_all_suites_have_the_same_readable_name(scale):
    jobs = {job.id: job for table in load_all("all") for job in make_plan(table, SCALES[scale], [0, 1]).jobs}
    names = Counter(job.name.removesuffix(job.id) for job in jobs.values())
    assert [name for name, number in names.items() if number > 1] == []


def test_rows_of_an_ablation_are_told_apart_by_eye():
    table = next(table for table in load_all("all") if table.name == "ablation-mask-ratio")
    names = [job.slug for job in make_plan(table, SCALES["paper"]).jobs if job.kind == "pretrain"]
    assert names == [f"cae-dalle-vit_b-300e-{mark}s0" for mark in ("mask0.4-", "", "mask0.6-")]


def test_a_name_says_what_deviates_from_the_recipe():
    cae = SOURCES["cae"]()
    method = cae.method.replace(decoder_depth=0, target_drop_path=False, init="truncated_normal")
    assert deviation(cae, cae) == ""
    assert (
        deviation(cae, cae.replace(method=method))
        == "decoder_depth0-no_target_drop_path-init_truncated_normal"[:47] + "+"
    )
    knn = EVALUATIONS["knn"]()
    assert deviation(knn, knn.replace(k=(5, 10), norm=False)) == "k5_10-no_norm"


def test_a_label_is_in_no_id():
    table = next(table for table in load_all("all") if table.name == "ablation-mask-ratio")
    for job in make_plan(table, SCALES["paper"]).jobs:
        assert len(job.label) <= MOST and type(job)(job.config, job.inputs).id == job.id
