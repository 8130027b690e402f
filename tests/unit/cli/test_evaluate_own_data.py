"""A user's data set in each format, from the site file to a table, and what is said where it is wrong."""

import json
import re
import shutil
from pathlib import Path

import pytest

from caebench.datasets.errors import DataError
from caebench.datasets.own.lists import read_list
from caebench.planning.site_data import scale_on
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import SMALL, make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import load_site
from tests.own_sets import make_folders, make_lists, make_objects, make_parquet, make_scenes, mask, picture
from tests.unit.datasets.test_own_parquet import needs_pyarrow

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "your-own-data.md"
EXAMPLES = re.findall(
    r"```\n(\[data\.(\w+)\]\nroot = \"(.*)\"\nformat = \"(\w+)\"\n)```", PAGE.read_text(encoding="utf8")
)
RANDOM = "quickstart/Random encoder"
MAKE = {
    "imagefolder": make_folders,
    "list": make_lists,
    "parquet": make_parquet,
    "segmentation": make_scenes,
    "coco": make_objects,
}


@pytest.fixture
def mine(desk):
    """A function that makes a data set called `mine`, and names it in the site file."""

    def make(form, **fields):
        root = MAKE[form](desk.home / "mine")
        more = "".join(f", {name} = {json.dumps(value)}" for name, value in fields.items())
        named = f'[data]\nmine = {{ root = "{root}", format = "{form}"{more} }}\n'
        desk.write_site("local", f'store = "{desk.store}"\nper_device_batch = 8\n{named}')
        return root

    return make


def result_of(desk, kind):
    (folder,) = (desk.store / kind).iterdir()
    return json.loads((folder / "result.json").read_text())


def test_the_page_has_an_example_of_each_format():
    assert [form for *_, form in EXAMPLES] == list(MAKE)


@pytest.mark.parametrize(
    "example", [pytest.param(one, id=one[3], marks=needs_pyarrow if one[3] == "parquet" else ()) for one in EXAMPLES]
)
def test_an_example_of_the_page_works(desk, example):
    text, name, root, form = example
    made = MAKE[form](desk.home / name)
    desk.write_site("local", f'store = "{desk.store}"\n{text.replace(root, str(made))}')
    checked = desk("data", "check", name)
    assert checked.status == 0 and checked.out.startswith(f"{name}: ok, "), checked
    evaluation = {"segmentation": "ade20k", "coco": "coco"}.get(form, "knn")
    planned = desk("eval", RANDOM, "--on", f"{evaluation}:{name}", "--dry-run")
    assert planned.status == 0 and f"data/{name}-" in planned.out, planned


def test_the_list_of_the_page_is_read(tmp_path):
    (listed,) = re.findall(r"```\n(images/.*?)```", PAGE.read_text(encoding="utf8"), re.DOTALL)
    (tmp_path / "train.txt").write_text(listed)
    assert read_list(tmp_path / "train.txt", "") == [("images/a rose.jpg", "0"), ("images/b.jpg", "1")]


def test_lists_are_evaluated_by_nearest_neighbours(desk, mine):
    mine("list")
    assert desk("data", "check", "mine").out.startswith("mine: ok, 12 train, 6 val, fingerprint ")
    answer = desk("eval", RANDOM, "--on", "knn:mine", "--jobs", "1")
    assert answer.status == 0, answer
    assert "k-NN mine" in answer.out and result_of(desk, "data")["metrics"] == {"num_train": 12, "num_val": 6}


@needs_pyarrow
@pytest.mark.slow
def test_a_parquet_folder_is_unpacked_once_and_evaluated_without_it(desk, mine):
    root = mine("parquet")
    assert desk("data", "check", "mine").out.startswith("mine: ok, 12 train, 12 val, fingerprint ")
    answer = desk("eval", RANDOM, "--on", "knn:mine", "--jobs", "1")
    assert answer.status == 0, answer
    (folder,) = (folder for folder in (desk.store / "data").iterdir() if folder.name.startswith("mine"))
    assert len(list((folder / "world" / "mine" / "train").rglob("*.jpg"))) == 12
    seen = json.loads(next((desk.store / "knn").iterdir()).joinpath("result.json").read_text())["fingerprints"]
    assert seen == json.loads((folder / "result.json").read_text())["fingerprints"]
    assert root.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("evaluation", ["knn_ade20k", "linear_ade20k"])
def test_masks_are_evaluated_on_frozen_tokens(desk, mine, evaluation):
    mine("segmentation")
    answer = desk("eval", RANDOM, "--on", f"{evaluation}:mine", "--jobs", "1")
    assert answer.status == 0, answer
    kind = "knn_segmentation" if evaluation == "knn_ade20k" else "segmentation"
    (folder,) = (desk.store / kind).iterdir()
    table = (folder / "per_class.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["class", "ground", "cell", "rim"]


@pytest.mark.slow
def test_masks_are_evaluated_by_upernet_at_one_rate_and_at_several(desk, mine):
    mine("segmentation", val_share=0.5)
    answer = desk("eval", RANDOM, "--on", "ade20k:mine,ade20k_grid:mine", "--jobs", "1")
    assert answer.status == 0, answer
    assert len(list((desk.store / "segmentation").iterdir())) == 4 and result_of(desk, "lr_grid")["metrics"]["mIoU"] > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("evaluation", ["coco", "coco_cascade"])
def test_objects_are_detected(desk, mine, evaluation):
    """Also if objects are counted from 0, as by Roboflow."""
    root = mine("coco")
    make_objects(root, first_id=0)
    answer = desk("eval", RANDOM, "--on", f"{evaluation}:mine", "--jobs", "1")
    assert answer.status == 0, answer
    (folder,) = (desk.store / "detection").iterdir()
    table = (folder / "per_class.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["class", "cell", "rim"]


PLANNED = {  # what is found before a job starts: format, damage, evaluation, words
    "no such folder": ("segmentation", shutil.rmtree, "ade20k", "mine: no such folder or file, wanted as the root of"),
    "no masks": ("segmentation", lambda root: shutil.rmtree(root / "masks"), "ade20k", "pictures, and none of "),
    "no list": ("list", lambda root: (root / "train.txt").unlink(), "knn", "mine: none of train.txt, "),
    "no annotations": ("coco", lambda root: shutil.rmtree(root / "annotations"), "coco", "no annotation file of"),
    "masks for boxes": ("segmentation", lambda root: None, "coco", "its labels are of another kind (map) than"),
    "lists for masks": ("list", lambda root: None, "ade20k", "its labels are of another kind (class) than"),
}


@pytest.mark.parametrize("what", PLANNED)
def test_what_planning_finds_is_a_line_and_status_2(desk, mine, what):
    form, damage, evaluation, said = PLANNED[what]
    damage(mine(form))
    answer = desk("eval", RANDOM, "--on", f"{evaluation}:mine")
    assert answer.status == 2 and answer.error.count("\n") == 1, answer
    assert said in answer.error, answer.error


FIELDS = {
    "num_classes": ("list", {"num_classes": 3}, "[data.mine] num_classes: the data say how many classes there are"),
    "val_share": ("coco", {"val_share": 0.1}, "[data.mine] val_share: no share of an annotation file is held out"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_a_format_does_not_use_is_refused(desk, mine, field):
    form, fields, said = FIELDS[field]
    mine(form, **fields)
    answer = desk("eval", RANDOM, "--on", "knn:mine")
    assert answer.status == 2 and said in answer.error and answer.error.count("\n") == 1, answer


@pytest.mark.slow
def test_what_the_data_job_finds_is_a_line_and_status_1(desk, mine):
    """It opens every mask before anything is trained."""
    root = mine("segmentation")
    mask(root / "masks" / "train" / "1.png", size=(40, 48))
    answer = desk("eval", RANDOM, "--on", "knn_ade20k:mine", "--jobs", "1")
    assert answer.status == 1, answer
    assert "images/train/1.jpg: 48x48 pixels, where its mask " in answer.out + answer.error
    assert not list((desk.store / "knn_segmentation").glob("*/result.json"))


def planned(recipe, scale):
    """The evaluation's job on the site's data."""
    encoder = make_job(scale.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))
    return make_job(scale.apply(EVALUATIONS[recipe](data="mine")), encoder=encoder)


@pytest.mark.parametrize(
    ("form", "recipe", "batch"),
    [("segmentation", "ade20k", 4), ("segmentation", "linear_segmentation", 4), ("coco", "coco", 4)],
)
def test_a_batch_is_no_larger_than_the_training_set(desk, mine, form, recipe, batch):
    """At paper scale the recipes take 16 and 32 images; the set has 4. Iterations and rate stay."""
    mine(form)
    config, usual = planned(recipe, scale_on(load_site(), "paper")).config, EVALUATIONS[recipe]()
    assert config.optimization == usual.optimization.replace(global_batch=batch)


def test_every_task_of_a_grid_has_the_fitted_batch(desk, mine):
    mine("segmentation")
    job = planned("ade20k_grid", scale_on(load_site(), "paper"))
    tasks = [made.config for role, made in job.inputs.items() if role.startswith("lr_")]
    assert {task.optimization.global_batch for task in tasks} == {4}
    assert [task.optimization.lr for task in tasks] == list(job.config.rates)


DAMAGED = {
    "segmentation": (
        "ade20k",
        lambda root: mask(root / "masks" / "val" / "4.png", top=5),
        r"4\.png: label 5, expected 0 to 2, or 255 where it is ignored\. Correct the mask, or name all classes",
    ),
    "coco": (
        "coco",
        lambda root: picture(root / "val2017" / "val0.jpg", size=(50, 48)),
        r"val0\.jpg: 50x48 pixels, where the annotations say 48x48\. Restore it, or remove its image",
    ),
}


@pytest.mark.parametrize("form", DAMAGED)
def test_the_data_job_opens_every_picture(desk, mine, form, tmp_path):
    from caebench.stages import run_stage
    from caebench.training.distributed import join_group
    from caebench.training.run import Run

    recipe, damage, said = DAMAGED[form]
    root = mine(form)
    data = planned(recipe, scale_on(load_site(), "nano")).inputs["data"]
    (tmp_path / "job").mkdir()
    seen = []
    run = Run(tmp_path / "job", {}, load_site(), join_group("cpu"), progress=lambda done, *_: seen.append(done))
    assert run_stage(data.config, run)["num_val"] == 2 and max(seen) >= 6
    damage(root)
    with pytest.raises(DataError, match=said):
        run_stage(data.config, run)


@needs_pyarrow
def test_the_plan_counts_the_disk_of_what_is_unpacked(desk, mine):
    root = mine("parquet")
    scale, files = scale_on(load_site(), "nano"), sum(path.stat().st_size for path in (root / "data").iterdir())
    data = planned("knn", scale).inputs["data"]
    assert data.config.disk_bytes({}) == SMALL + files
