"""A part of a published data set is a data set of its own: in every id on it, in titles, never beside the paper's."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from caebench.datasets.errors import DataError
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.files.layout import JOB
from caebench.files.result import write_result
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.planning.site_data import SiteData, read_subset, scale_on
from caebench.report.render import document
from caebench.report.reports import Reports
from caebench.report.writing import report_facts, write_reports
from caebench.specs.base import NeedsWholeSetError
from caebench.specs.inputs.dataset import OwnData, RealData
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.specs.site import Site
from caebench.store.records import Records
from caebench.store.store import Store
from caebench.store.usage import look_through
from caebench.suites.loading import load
from caebench.suites.published import parse_sets
from caebench.suites.suite import Suite
from tests.helpers import NEEDED
from tests.pictures import write_folder

RECIPES = {**SOURCES, **EVALUATIONS}
SETS = ("imagenet1k", "food101", "clipart", "sketch", "ade20k", "coco")
WITH_OTHERS = [name for name, known in PUBLISHED.items() if known.reads]


@pytest.fixture
def world(world_root, tmp_path):
    """Small folders in the published layouts: subsets, for who says so."""
    root = shutil.copytree(world_root, tmp_path / "world")
    table = root / DATASETS["ade20k"].folder / "objectInfo150.txt"
    head, *lines = table.read_text().splitlines()
    lines += [f"{number}\t0.1\t1\t1\tthing {number}" for number in range(len(lines) + 1, 151)]
    table.write_text("\n".join([head, *lines]) + "\n")
    return root


def site_of(world, *names, **more):
    data = {name: {"root": world / PUBLISHED[name].folder, "subset": True} for name in names}
    return Site.model_validate({"device": "cpu", "data": {**data, **more}})


@pytest.mark.parametrize("name", SETS)
def test_what_a_folder_has_is_read_from_its_lists(world, small_world, name):
    found = SiteData(site_of(world, name))[name]
    amount, whole = small_world.amount(name), PUBLISHED[name]
    num_classes = 150 if name == "ade20k" else whole.num_rendered_classes
    assert found.size == (num_classes, amount.train, amount.val)
    report = whole.check({name: world / whole.folder}, found.size)
    assert report.ok, report.problems
    assert report.fingerprint == found.fingerprint


def test_another_file_is_another_subset(world):
    site = site_of(world, "imagenet1k")
    before = read_subset("imagenet1k", site)
    next((world / "imagenet" / "train").rglob("*.JPEG")).unlink()
    after = read_subset("imagenet1k", site)
    assert (before.num_train, before.fingerprint) != (after.num_train, after.fingerprint)


@pytest.mark.parametrize("scale", ["paper", "lab-real", "nano-real"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_id_on_a_subset_is_another_than_on_the_whole_set(world, scale, name):
    """Also of jobs that only depend on what was trained on it."""
    subsets = SiteData(site_of(world, "imagenet1k", "food101", "clipart", "sketch", "ade20k", "coco"))
    small = {name: subset.model_copy(update={"num_train": 50_000}) for name, subset in subsets.items()}  # for its batch
    config = RECIPES[name](**NEEDED.get(name, {}))
    whole, part = SCALES[scale], replace(SCALES[scale], found=small)
    assert "fingerprint" not in str(whole.apply(config).model_dump(exclude_none=True))
    has_data = "'kind': 'real'" in str(whole.apply(config).model_dump())
    assert ("fingerprint" in str(part.apply(config).model_dump())) == has_data


def test_whole_sets_keep_their_ids_and_everything_below_a_subset_gets_its_own(world):
    suite = load("classification-transfer")
    subsets = SiteData(site_of(world, "imagenet1k"))
    subsets = {name: subset.model_copy(update={"num_train": 50_000}) for name, subset in subsets.items()}
    whole = make_plan(suite, SCALES["paper"])
    part = make_plan(suite, replace(SCALES["paper"], found=subsets))
    same = {job.id for job in whole.jobs} & {job.id for job in part.jobs}
    assert {job.kind for job in whole.jobs if job.id in same} <= {"real", "released"}
    assert not any(job.config.name == "imagenet1k" for job in whole.jobs if job.id in same and job.kind == "real")
    assert len(part.jobs) == len(whole.jobs)


def test_a_small_scale_on_real_data_has_ids_and_a_name_of_its_own():
    suite = load("quickstart")
    plans = {name: make_plan(suite, scale) for name, scale in SCALES.items()}
    ids = {name: {job.id for cell in plan.cells for job in cell.jobs} for name, plan in plans.items()}
    assert len(set.union(*ids.values())) == sum(map(len, ids.values()))
    for name in ("lab-real", "nano-real"):
        kinds = {job.kind for job in plans[name].jobs}
        assert "real" in kinds and "synthetic" not in kinds
        reports = Reports(SCALES[name], Records(Store(Path("nowhere"))), parse_sets("paper"), [0])
        title = reports.document(suite).main.title
        assert f"[{name.upper()} scale]" in title


def test_a_site_without_subsets_or_at_a_synthetic_scale_reads_nothing(tmp_path):
    site = Site.model_validate({"data": {"imagenet1k": {"root": tmp_path / "none", "subset": True}, "coco": "/none"}})
    config = RECIPES["cae"]()
    for name in ("nano", None):
        assert scale_on(site, name).apply(config) == SCALES["nano"].apply(config)
    with pytest.raises(DataError, match=r"none: no such folder or file"):
        scale_on(site, "paper").apply(config)


def test_the_whole_set_is_no_subset(world, monkeypatch, small_world):
    whole = replace(DATASETS["imagenet1k"], published=DATASETS["imagenet1k"].rendered(small_world.amount("imagenet1k")))
    monkeypatch.setitem(DATASETS, "imagenet1k", whole)
    with pytest.raises(ValueError, match=r"\[data\.imagenet1k\] subset = true: .* the whole imagenet1k\. Remove"):
        SiteData(site_of(world, "imagenet1k"))["imagenet1k"]


@pytest.mark.parametrize("name", WITH_OTHERS)
def test_a_set_that_goes_with_another_has_no_subsets(world, name):
    with pytest.raises(ValueError, match=rf"\[data\.{name}\] subset = true: {name} goes with the whole imagenet1k"):
        site_of(world, name)
    with pytest.raises(NeedsWholeSetError, match=rf"^{name} goes with the whole imagenet1k, of which this site has a"):
        RealData(kind="real", name=name).on_site(SiteData(site_of(world, "imagenet1k")))


def test_labels_of_a_subset_have_no_gaps(world):
    for split in ("train", "test"):
        path = world / "domainnet" / f"clipart_{split}.txt"
        kept = [line for line in path.read_text().splitlines() if not line.endswith(" 3")]
        path.write_text("\n".join(kept))
    with pytest.raises(DataError, match=r"9 classes with labels up to 9, expected 0 to 8\. Number the classes"):
        SiteData(site_of(world, "clipart"))["clipart"]


MISTAKES = (3, ["a"], {"root": 3}, {"subset": True}, {"root": "/a", "subset": "yes"}, {"rot": "/a"})


@pytest.mark.parametrize("given", MISTAKES)
def test_a_mistake_in_the_site_file_names_the_set(given):
    with pytest.raises(ValueError, match=r"data\.imagenet1k"):
        Site.model_validate({"data": {"imagenet1k": given}})


def test_a_table_on_a_subset_says_so_and_stands_not_beside_the_paper(world, tmp_path):
    subset = SiteData(site_of(world, "imagenet1k"))["imagenet1k"].model_copy(update={"num_train": 50_000})
    suite, store = load("pretraining-evaluation"), Store(tmp_path / "store")
    whole = Reports(SCALES["paper"], Records(store), parse_sets("paper"), [0])
    part = Reports(replace(SCALES["paper"], found={"imagenet1k": subset}), Records(store), parse_sets("paper"), [0])
    found = part.document(suite)
    assert found.main.title.endswith(f"[PAPER scale, imagenet1k subset {subset.fingerprint}]")
    assert found.notes[0].startswith(f"imagenet1k: a subset with {subset}. Compare its numbers with each other, ")
    not_run = [note for note in found.notes if note.startswith("Not run: ")]
    assert "Not run: k-NN ReaL. imagenet_real goes with the whole imagenet1k" in " ".join(not_run) and len(not_run) == 4
    assert document(whole.plan(suite), whole.rows(suite), []).main.title.endswith("[PAPER scale]")
    assert report_facts(part, suite)["subsets"] == {"imagenet1k": subset.model_dump()}
    assert report_facts(whole, suite)["subsets"] == {}
    stems = [write_reports(one, [suite], tmp_path)[0].name for one in (whole, part)]
    assert stems == [f"{suite.name}-paper", f"{suite.name}-paper-imagenet1k_{subset.fingerprint[:8]}"]
    plan = make_plan(suite, part.scale)
    assert not plan.is_comparable and make_plan(suite, whole.scale).is_comparable
    assert all(entry.verdict is None for row in part.rows(suite) for entry in row)


def test_jobs_on_site_are_not_deleted_as_unplanned(world, tmp_path):
    """Which subsets there are only the site's folders tell, and the store is also looked through without them."""
    subset = SiteData(site_of(world, "imagenet1k"))["imagenet1k"].model_copy(update={"num_train": 50_000})
    plan = make_plan(load("quickstart"), replace(SCALES["paper"], found={"imagenet1k": subset}))
    store = Store(tmp_path / "store")
    for job in plan.jobs:
        store.prepare(job)
    below = {job.id for job in plan.jobs if any("subset" in one.name for one in (job, *job.ancestors()))}
    found = {one.folder.name[-10:] for one in look_through(store, set()) if not one.is_deletable}
    assert below and below <= found
    assert JOB in {path.name for path in store.folder(plan.jobs[0]).iterdir()}


@pytest.fixture
def flowers(tmp_path):
    """A site with an image folder of a user's."""
    root = tmp_path / "flowers"
    write_folder(root, {f"{split}/{name}": 3 for split in ("train", "val") for name in "abc"})
    return Site.model_validate({"device": "cpu", "data": {"flowers": {"root": root, "format": "imagefolder"}}})


NEAR = {"header": "k-NN", "eval": "knn", "data": "flowers"}


def suite_of(tmp_path, column):
    rows = ({"label": "Random", "recipe": "random"},)
    return Suite.model_validate({"path": tmp_path / "near.toml", "columns": {"near": column}, "rows": rows})


def test_a_users_folder_is_read_at_every_scale_and_named_in_the_title(flowers, tmp_path):
    suite = suite_of(tmp_path, NEAR)
    for name in SCALES:
        plan = make_plan(suite, scale_on(flowers, name))
        (data,) = [job.config for job in plan.jobs if isinstance(job.config, OwnData)]
        assert data.size == (3, 9, 9)
        reports = Reports(scale_on(flowers, name), Records(Store(tmp_path / "none")), [], [0])
        assert f"scale, flowers {data.contents.fingerprint}]" in reports.document(suite).main.title


def test_another_image_is_another_data_set(flowers, tmp_path):
    suite = suite_of(tmp_path, NEAR)
    before = {job.id for job in make_plan(suite, scale_on(flowers, "nano")).jobs}
    write_folder(flowers.roots["flowers"], {"train/a": 4})
    after = {job.id for job in make_plan(suite, scale_on(flowers, "nano")).jobs}
    assert len(before) == len(after) == 3 and len(before & after) == 1, "all but the encoder"


def test_a_name_that_the_site_does_not_have_is_an_error_with_the_known_ones(flowers, tmp_path):
    suite = suite_of(tmp_path, {**NEAR, "data": "flower"})
    with pytest.raises(
        ValueError, match=r"data set 'flower': unknown\. Did you mean 'flowers'\? Known: .*, flowers\. A f"
    ):
        make_plan(suite, scale_on(flowers, "nano"))
    with pytest.raises(ValueError, match=r"'flower': unknown\. Known: .*\[data\.flower\] root = "):
        make_plan(suite, SCALES["nano"])


def test_a_folder_that_is_away_has_the_layout_that_the_site_says_or_none(flowers, tmp_path):
    suite, store = suite_of(tmp_path, NEAR), Store(tmp_path / "store")
    (data,) = [job for job in make_plan(suite, scale_on(flowers, "nano")).jobs if isinstance(job.config, OwnData)]
    write_result(store.prepare(data), {"id": data.id, "metrics": {}})
    shutil.rmtree(flowers.roots["flowers"])
    flowers.roots["flowers"].mkdir()  # where a disk is not mounted
    assert data.id in {job.id for job in make_plan(suite, scale_on(flowers, "nano", store)).jobs}
    other = flowers.replace(data={"flowers": flowers.data["flowers"].replace(val_share=0.4)})
    with pytest.raises(DataError, match=r"an empty folder, expected a folder a class"):
        make_plan(suite, scale_on(other, "nano", store))


@pytest.mark.parametrize("num_versions", [0, 1, 2])
def test_results_on_a_folder_that_is_away_are_found_by_its_finished_job(flowers, tmp_path, num_versions):
    suite, store, plans = suite_of(tmp_path, NEAR), Store(tmp_path / "store"), []
    for version in range(num_versions):
        write_folder(flowers.roots["flowers"], {"train/a": 3 + version})
        plans.append(make_plan(suite, scale_on(flowers, "nano")))
        (data,) = [job for job in plans[-1].jobs if isinstance(job.config, OwnData)]
        write_result(store.prepare(data), {"id": data.id, "metrics": {}})
    shutil.rmtree(flowers.roots["flowers"])
    if num_versions == 1:
        assert make_plan(suite, scale_on(flowers, "nano", store)).jobs == plans[0].jobs
    else:  # which of two is not known
        with pytest.raises(DataError, match=r"flowers: no such folder or file, wanted as the root of flowers"):
            make_plan(suite, scale_on(flowers, "nano", store))
