"""`caebench eval`: from encoders to a table in one command, by the same jobs as a suite's."""

import shutil
from pathlib import Path

import pytest

from caebench.execution.checkpoints import Given, with_sizes
from caebench.execution.encoders import encoder_rows
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.specs.site import Site
from caebench.specs.variants import VARIANTS
from caebench.store.store import Store
from caebench.store.usage import size_of_folder
from caebench.suites.evaluation import SHORT, columns_named, suite_row, text_of
from caebench.suites.loading import load, read
from tests.pictures import write_folder

GOLDEN = Path(__file__).parents[2] / "golden" / "encoders"


@pytest.fixture
def vit(desk):
    """A released checkpoint of the user's."""
    return str(shutil.copy(GOLDEN / "mae.pth", desk.home / "vit.pth"))


def test_a_file_becomes_a_table_and_a_suite_and_nothing_runs_twice(desk, vit, tiny):
    saved = desk.home / "mine.toml"
    given = ("eval", vit, "--num-heads", "3", "--on", "knn", "--save", str(saved), "--jobs", "1")
    first = desk(*given, "--compare-with", "T1-B-MAE-1600")
    assert first.status == 0, first
    assert "Evaluation of vit [NANO scale]" in first.out and "MAE, ViT-B, 1600" in first.out
    assert f"{saved}: written. `caebench run {saved}` runs the same jobs." in first.out
    again = desk(*given, "--compare-with", "T1-B-MAE-1600")
    assert again.status == 0 and " cached. Stored in " in again.error and " done, " not in again.error
    planned = {job.name for job in make_plan(read(saved), tiny).jobs}
    assert planned <= {f"{folder.parent.name}/{folder.name}" for folder in desk.store.glob("*/*")}
    ran = desk("run", str(saved), "--jobs", "1")
    assert ran.status == 0 and " cached. Stored in " in ran.error and " done, " not in ran.error
    assert f"# {vit}, SHA-256 " in saved.read_text()


def test_a_job_and_a_row_stand_in_place_of_a_file(desk, vit, tiny):
    imported = desk("ckpt", "import", vit, "--num-heads", "3", "--json").out
    job = next((desk.store / "pretrain").iterdir()).name[-10:]
    assert job in imported
    dry = desk("eval", job, "quickstart/Random encoder", "--on", "knn", "--dry-run")
    assert dry.status == 0, dry
    quickstart = {job.name for job in make_plan(load("quickstart"), tiny).jobs}
    shown = {line for line in dry.out.splitlines() if "/" in line}
    assert len([name for name in shown if name.startswith("knn/")]) == 2
    assert {name for name in shown if "random" in name} <= quickstart


def test_like_takes_the_columns_of_a_suite_with_their_settings():
    columns = columns_named(["knn_mean", "attentive"], "frozen-probes")
    assert list(columns) == ["attentive", "knn_mean"]
    assert columns["knn_mean"].set == {"feature": "mean"}
    assert list(columns_named([], "frozen-probes")) == list(load("frozen-probes").columns)


def test_evaluations_have_short_names_and_those_of_recipes_and_take_data():
    found = columns_named(["linear", "coco", "knn:imagenet_v2", "linear_probe_grid"], None)
    assert found["linear"] == {"header": "LIN", "eval": "linear_probe", "published": "LIN"}
    assert found["coco"]["metric"] == "AP_box"
    assert found["knn_imagenet_v2"] == {
        "header": "k-NN imagenet_v2",
        "eval": "knn",
        "metric": "top1",
        "data": "imagenet_v2",
    }
    assert found["linear_probe_grid"]["eval"] == "linear_probe_grid"
    assert set(SHORT) >= {"linear", "attentive"}


@pytest.mark.parametrize(
    "suite", ["pretraining-evaluation", "ablation-components", "ablation-mask-ratio", "quickstart"]
)
def test_a_row_that_stands_alone_is_the_same_pretraining(suite, tmp_path):
    """With the defaults and the fields that its suite sets for all rows, also through the text of a saved suite."""
    whole = load(suite)
    for row in whole.rows:
        if row.quoted:
            continue
        alone = {"rows": [suite_row(f"{suite}/{row.key}")], "columns": {"knn": {"header": "k-NN", "eval": "knn"}}}
        made = type(whole).model_validate({**alone, "path": tmp_path / "a.toml"})
        assert made.pretraining(made.rows[0]) == whole.pretraining(row)
        (tmp_path / "a.toml").write_text(text_of(made), encoding="utf8")
        assert read(tmp_path / "a.toml") == made


def test_files_of_one_name_are_told_apart_and_one_file_is_one_row(desk, vit, tiny):
    other = desk.home / "other" / "vit.pth"
    other.parent.mkdir()
    shutil.copy(GOLDEN / "deit.pth", other)
    given, store = Given(num_heads=3), Store(desk.store)
    rows, origins = encoder_rows([vit, str(other), vit], [], given, store, Site(device="cpu"), tiny)
    labels = [row["label"] for row in rows]
    assert len(labels) == 2 and all(label.startswith("vit (") for label in labels) and len(set(labels)) == 2
    assert origins == dict(zip(labels, [vit, str(other)], strict=True))


MISTAKES = {
    "no file": (("eval", "none.pth"), "'none.pth': no such file. An encoder is a file ("),
    "no job": (("eval", "abcdef0123"), "no job"),
    "no row": (("eval", "quickstart/Random"), "'quickstart/Random': "),
    "a quoted row": (("eval", "quickstart/T1-B-CAE*-1600"), "'quickstart/T1-B-CAE*-1600': the row is quoted"),
    "no evaluation": (("eval", "vit.pth", "--on", "knnn"), "--on 'knnn': unknown. Did you mean 'knn'? Known: "),
    "no name": (("eval", "vit.pth", "--on", "knn,"), "--on 'knn,': an empty name"),
    "no data set": (
        ("eval", "vit.pth", "--on", "knn:imagenet"),
        "--on 'knn:imagenet': data set 'imagenet': unknown. Did you",
    ),
    "data for another": (
        ("eval", "vit.pth", "--on", "coco:food101"),
        "--on 'coco:food101': field 'data.name' is 'food101': its labels are",
    ),
    "a cost": (("eval", "vit.pth", "--on", "pretraining_cost"), "--on 'pretraining_cost': it is of a pretraining"),
    "no suite": (("eval", "vit.pth", "--like", "nothing"), "suite 'nothing': not found."),
    "no column": (("eval", "vit.pth", "--like", "quickstart", "--on", "lin"), "--on 'lin': no column of suite 'quick"),
    "no published row": (("eval", "vit.pth", "--compare-with", "T1-B-MAE"), "--compare-with 'T1-B-MAE': no row of a"),
    "weights alone": (("eval", "vit.pth", "--weights", "a.pth"), "--weights: 1 files for 0 networks timm:NAME."),
    "two files": (
        ("eval", "vit.pth", "log.pth", "--num-heads", "3"),
        "--num-heads 3: it is said of one file, and here",
    ),
    "no heads": (("eval", "vit.pth", "--on", "knn"), "num_heads: "),
    "no folder": (("eval", "vit.pth", "--num-heads", "3", "--on", "knn", "--save", "no/a.toml"), "no such folder: no."),
    "no TOML": (("eval", "vit.pth", "--num-heads", "3", "--on", "knn", "--save", "mine.txt"), "--save "),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_a_line_and_leaves_nothing(desk, vit, what, monkeypatch):
    monkeypatch.chdir(desk.home)
    shutil.copy(GOLDEN / "deit.pth", desk.home / "log.pth")
    words, said = MISTAKES[what]
    answer = desk(*words)
    assert answer.status == 2 and answer.error.count("\n") == 1, answer
    assert said in answer.error, answer.error
    assert not (desk.home / "mine.txt").exists()


def test_what_is_there_is_not_overwritten(desk, vit):
    saved = desk.home / "mine.toml"
    saved.write_text("mine = 1\n")
    answer = desk("eval", vit, "--num-heads", "3", "--on", "knn", "--dry-run", "--save", str(saved))
    assert answer.status == 2 and "--save " in answer.error and saved.read_text() == "mine = 1\n"


def test_a_folder_of_ones_own_from_the_site_file_to_a_table(desk, vit, tiny):
    """Named in the site file, evaluated on, checked, and its table still there when the folder is away."""
    folders = {
        f"{split}/{name}": number for split, number in (("train", 12), ("test", 4)) for name in ("rose", "aster")
    }
    write_folder(desk.home / "flowers", folders)
    desk.write_site("local", f'store = "{desk.store}"\n[data.flowers]\nroot = "~/flowers"\nformat = "imagefolder"\n')
    saved = str(desk.home / "mine.toml")
    ran = desk("eval", vit, "--num-heads", "3", "--on", "knn:flowers", "--save", saved, "--jobs", "1")
    assert ran.status == 0, ran.error + ran.out
    assert (
        "k-NN flowers" in ran.out and "flowers: a folder of this site with 2 classes, 24 training and 8 val" in ran.out
    )
    checked = desk("data", "check", "flowers")
    assert checked.status == 0 and checked.out.startswith("flowers: ok, 24 train, 8 val, fingerprint "), checked
    assert desk("suites", "check", saved).status == 0
    shutil.move(desk.home / "flowers", desk.home / "away")
    report = desk("report", "--suite", saved, "--format", "md")
    assert report.status == 0 and "k-NN flowers" in report.out and "not run" not in report.out, report
    again = desk("run", saved, "--seeds", "1", "--jobs", "1")
    assert again.status == 0 and "cached" in again.out + again.error, "k-NN and the imported encoder have no seed"
    more = desk("eval", vit, "--num-heads", "3", "--on", "knn:flowers,attentive", "--dry-run")
    assert more.status == 0, more


@pytest.fixture
def nano_b(desk):
    """A random ViT of nano_b's size, in timm's layout, whose width has no name in the paper."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    path = desk.home / "small.pth"
    torch.save(VisionTransformer(32, 8, embed_dim=64, depth=4, num_heads=4, num_classes=0).state_dict(), path)
    return ("eval", str(path), "--num-heads", "4", "--pixel-stats", "imagenet", "--jobs", "1")


@pytest.mark.slow
def test_disk_and_hours_of_an_imported_encoder_are_those_of_its_own_size(desk, nano_b):
    """Without a name for its size they were ViT-B's: 400 times the file, and 2 GB for a linear layer."""
    ran = desk(*nano_b, "--save", str(desk.home / "mine.toml"))
    assert ran.status == 0, ran
    store = Store(desk.store)
    (folder,) = (desk.store / "pretrain").iterdir()
    job = with_sizes(store.read_job(folder), store)
    assert job.config.size == VARIANTS["nano_b"] and 0.8 < job.config.disk_bytes({}) / size_of_folder(folder) < 1.25
    by_id = desk("eval", job.id, "--dry-run")
    assert by_id.status == 0 and by_id.out.startswith("0 jobs would run"), by_id
    jobs = make_plan(read(desk.home / "mine.toml"), SCALES["nano"]).jobs
    estimated = {one.name: one.config.disk_bytes(one.inputs) for one in jobs}
    found = {one.name: size_of_folder(store.folder(one)) for one in jobs}
    assert sum(found.values()) / 2 < sum(estimated.values()) < 3 * sum(found.values()), (estimated, found)


def test_heads_that_family_and_width_determine_cannot_be_given_otherwise(desk):
    from tests.unit.checkpoints.test_loading import released, save

    path = save(released("moco_v3", 384, 12), desk.home)
    for verb in ("eval", "ckpt import"):
        answer = desk(*verb.split(), str(path), "--num-heads", "6")
        assert answer.status == 2 and not list(desk.store.glob("*/*")), answer
        assert answer.error == (
            f"error: {path}: num_heads 6, and MoCo v3 has 12 at width 384. Leave --num-heads out, or name the --family "
            "that it is of.\n"
        )
