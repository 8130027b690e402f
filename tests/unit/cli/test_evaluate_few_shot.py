"""`caebench eval` on few-shot data: from a file to a table of means over draws."""

import json
import shutil
from pathlib import Path

import pytest

from caebench.planning.graph import make_plan
from caebench.suites.evaluation import columns_named
from caebench.suites.loading import read

GOLDEN = Path(__file__).parents[2] / "golden" / "encoders"


@pytest.fixture
def vit(desk):
    """A released checkpoint of the user's."""
    return str(shutil.copy(GOLDEN / "mae.pth", desk.home / "vit.pth"))


def eval_on(desk, vit, on, *more):
    return desk("eval", vit, "--num-heads", "3", "--on", on, "--jobs", "1", *more)


def test_every_evaluation_of_images_takes_a_data_set():
    names = ["linear:food101", "linear_probe_grid:sketch", "attentive:clipart@1%", "finetune:clipart@10shot"]
    found = columns_named(names, None)
    assert [column["data"] for column in found.values()] == ["food101", "sketch", "clipart@1%", "clipart@10shot"]
    assert found["linear_food101"] == {
        "header": "LIN food101",
        "eval": "linear_probe",
        "metric": "top1",
        "data": "food101",
    }


def test_a_column_has_five_draws_that_share_the_rendered_set(desk, vit):
    dry = eval_on(desk, vit, "knn:imagenet1k@2shot,finetune:food101@50%", "--dry-run")
    assert dry.status == 0, dry
    names = [word for word in dry.out.split() if word.startswith(("knn/", "finetune/", "data/"))]
    for start in ("knn/imagenet1k-2shot-d", "finetune/food101-50pct-d"):
        assert len({name for name in names if name.startswith(start)}) == 5, dry.out
    assert len({name for name in names if name.startswith("data/")}) == 2, dry.out


@pytest.mark.slow
def test_five_draws_become_one_number_with_its_spread(desk, vit, tiny):
    saved = desk.home / "mine.toml"
    first = eval_on(desk, vit, "knn:imagenet1k@2shot", "--save", str(saved))
    assert first.status == 0, first
    assert "Evaluation of vit [NANO scale, 5 draws of few-shot data]" in " ".join(first.out.split())
    assert "+- is the sample standard deviation over draws" in " ".join(first.out.split())
    assert "deviates from its column's protocol: data" not in " ".join(first.out.split())
    jobs = [job for job in make_plan(read(saved), tiny).jobs if job.draw is not None]
    assert [job.draw for job in jobs] == [0, 1, 2, 3, 4]
    assert len(list((desk.store / "data").iterdir())) == 1, "the world is rendered once for all draws"
    lists = set()
    for job in jobs:
        result = json.loads((desk.store / job.name / "result.json").read_text(encoding="utf8"))
        lists.add(result["fingerprints"][f"imagenet1k@2shot draw {job.draw}/train"])
    assert len(lists) == 5
    again = desk("run", str(saved), "--jobs", "1")
    assert again.status == 0 and "cached" in again.out and "done" not in again.out.splitlines()[-1]
    assert_json_has_draws(desk, saved)


def assert_json_has_draws(desk, suite):
    """The written report has each draw's value, and one protocol for all of them."""
    answer = desk("report", "--suite", str(suite), "--json")
    assert answer.status == 0, answer
    (knn,) = json.loads(answer.out)["cells"]
    assert (knn["n"], knn["draws"], knn["seeds"], knn["noise_from"]) == (5, [0, 1, 2, 3, 4], [0] * 5, "draws")
    assert len(knn["protocols"]) == 1


MISTAKES = {
    "knn:imagenet1k@0%": "field 'data' is 'imagenet1k@0%': data set 'imagenet1k@0%': @0% of the training images are no",
    "knn:imagenet1k@100%": "are all images: leave the suffix out. Write @1% (",
    "knn:imagenet1k@0shot": "data set 'imagenet1k@0shot': no images of a class. Write @1% (",
    "knn:imagenet1k@10": "'@10' is no few-shot suffix. Write @1% (",
    "knn:imagenet1k@-1shot": "'@-1shot' is no few-shot suffix. Write @1% (",
    "knn:imagenet1k@1e3%": "'@1e3%' is no few-shot suffix. Write @1% (",
    "knn:imagenet1k@1%@2%": "2 suffixes, and a data set has one at most. Write @1% (",
    "knn:imagenet@10shot": "data set 'imagenet': unknown. Did you mean 'imagenet1k'?",
    "ade20k:food101@10shot": "--on 'ade20k:food101@10shot': field 'data.name' is 'food101': its labels are",
    "knn:food101@2shot": "data set 'food101@2shot': all 40 training images. Leave the suffix out.",
    "knn:food101@3shot": "data set 'food101@3shot': 20 classes need 60 training images, and the whole set has 40.",
}


@pytest.mark.parametrize("on", list(MISTAKES))
def test_a_mistake_is_a_line(desk, vit, on):
    answer = eval_on(desk, vit, on)
    assert answer.status == 2 and answer.error.count("\n") == 1, answer
    assert MISTAKES[on] in answer.error, answer.error
