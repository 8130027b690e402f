"""Real data, small: a subset and a small scale on it, through the command line."""

import json
import shutil
from dataclasses import replace

import pytest

import caebench.planning.scale as scales
from caebench.datasets.registry import DATASETS
from caebench.planning.site_data import read_subset
from caebench.specs.site import load_site

SUITE = """
source = { title = "Neighbours" }
pretrain = { recipe = "random", variant = "vit_b" }
columns.knn = { header = "k-NN", eval = "knn" }
rows = [{ label = "Random encoder" }]
"""


@pytest.fixture
def part(desk, world_root, tiny, monkeypatch):
    """A desk whose site has a part of ImageNet, and a suite."""
    monkeypatch.setitem(scales.SCALES, "nano-real", replace(tiny, name="nano-real", world=None))
    shutil.copytree(world_root / "imagenet", desk.home / "imagenet")
    text = f'store = "{desk.store}"\n[data.imagenet1k]\nroot = "~/imagenet"\nsubset = true\n'
    desk.write_site("local", text)
    (desk.home / "near.toml").write_text(SUITE)
    return desk


def test_a_small_scale_runs_on_a_subset_and_the_title_says_both(part):
    suite = str(part.home / "near.toml")
    ran = part("run", "suite", suite, "--scale", "nano", "--real", "--yes")
    assert ran.status == 0, ran.error + ran.out
    fingerprint = read_subset("imagenet1k", load_site("local")).fingerprint
    report = part("report", "--suite", suite, "--scale", "nano-real", "--format", "md")
    assert f"Neighbours [NANO-REAL scale, imagenet1k subset {fingerprint}]" in report.out, report
    assert "NANO-REAL: real data and small encoders. Compare rows with each other" in report.out
    assert "10 classes, 40 training and 20 validation images" in report.out
    again = part("run", "suite", suite, "--scale", "nano", "--real", "--yes")
    assert " cached. Stored in " in again.error and " done, " not in again.error, again


def test_a_folder_that_changed_is_another_data_set(part):
    suite = str(part.home / "near.toml")
    before = part("plan", suite, "--scale", "nano-real", "--json").out
    next((part.home / "imagenet" / "train").rglob("*.JPEG")).unlink()
    after = part("plan", suite, "--scale", "nano-real", "--json").out
    ids = [{job["id"] for job in json.loads(out)["jobs"] if job["kind"] != "random_encoder"} for out in (before, after)]
    assert len(ids[0]) == len(ids[1]) == 2 and not ids[0] & ids[1]


def test_a_part_that_is_called_whole_is_refused_with_what_to_do(part):
    part.write_site("local", f'store = "{part.store}"\n[data]\nimagenet1k = "~/imagenet"\n')
    checked = part("data", "check", "imagenet1k")
    assert checked.status == 1
    assert (
        "train has 40 images, expected 1,281,167" in checked.out
        and "say [data.imagenet1k] subset = true" in checked.out
    )


def test_a_subset_is_checked_against_its_own_lists(part):
    checked = part("data", "check")
    assert checked.status == 0, checked
    assert checked.out.startswith("imagenet1k: ok, 40 train, 20 val, fingerprint ")
    root = str(part.home / "imagenet")
    assert part("data", "check", "imagenet1k", "--root", root).status == 1
    assert part("data", "check", "imagenet1k", "--root", root, "--subset").out == checked.out
    shutil.rmtree(part.home / "imagenet" / "val" / "n00000003")
    broken = part("data", "check", "imagenet1k")
    assert broken.status == 1 and "no class 'n00000003' in val" in broken.out


def test_a_subset_that_cannot_be_listed_is_a_report_like_any_other(part, world_root):
    shutil.copytree(world_root / "domainnet", part.home / "domainnet")
    path = part.home / "domainnet" / "clipart_train.txt"
    path.write_text(2 * path.read_text(encoding="utf8"), encoding="utf8")
    checked = part("data", "check", "clipart", "--root", str(path.parent), "--subset")
    assert checked.status == 1 and checked.out.startswith(f"clipart: NOT OK, {path.parent}\n  {path}: names 'clipart/")


MISTAKES = {
    ("data", "check", "imagenet1k", "--subset"): "--subset: it is of the folder that --root names. ",
    (
        "plan",
        "quickstart",
        "--real",
    ): "--real: it is for --scale nano and --scale lab. Name one; paper ",
    ("plan", "quickstart", "--scale", "paper", "--real"): "--real with --scale paper: it is for --scale nano and ",
    (
        "data",
        "make",
        "there",
        "--scale",
        "lab-real",
    ): "--scale 'lab-real': uses real data, so ",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_a_line(part, words):
    answer = part(*words)
    assert (answer.status, answer.out) == (2, "") and answer.error.startswith(f"error: {MISTAKES[words]}"), answer


def test_a_subset_whose_folder_is_gone_is_named(part):
    shutil.rmtree(part.home / "imagenet")
    answer = part("plan", "quickstart", "--scale", "lab", "--real")
    assert answer.status == 2
    assert answer.error.startswith(f"error: {part.home}/imagenet: no such folder or file, wanted as the root of ")
    assert part("plan", "quickstart", "--scale", "lab").status == 0, "synthetic data needs none of it"


def test_the_whole_set_is_not_called_a_subset(part, monkeypatch, small_world):
    whole = DATASETS["imagenet1k"].rendered(small_world.amount("imagenet1k"))
    monkeypatch.setitem(DATASETS, "imagenet1k", replace(DATASETS["imagenet1k"], published=whole))
    answer = part("plan", "quickstart", "--scale", "lab", "--real")
    assert answer.status == 2 and "[data.imagenet1k] subset = true: " in answer.error


def test_all_is_the_sets_that_the_site_names(part):
    named, every = part("data", "check", "--no-decode"), part("data", "check", "all", "--no-decode")
    assert every == named and "imagenet1k: " in every.out
    wrong = part("data", "check", "all", "imagenet1k")
    assert wrong.status == 2 and "data set 'all': unknown." in wrong.error


def test_without_data_the_answer_says_where_it_looked_and_what_to_run(desk):
    answer = desk("data", "check")
    path = desk.home / ".config" / "caebench" / "sites" / "local.toml"
    assert answer.status == 2 and answer.error.startswith(f"error: {path}, [data]: no folder of a data set.")
    assert "caebench data check imagenet1k --root PATH" in answer.error and "coco" in answer.error
