"""Data sets and released files as jobs."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from caebench.datasets.errors import DataError
from caebench.datasets.registry import DATASETS
from caebench.files.layout import TOKENIZER
from caebench.planning.site_data import read_subset
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.inputs.dataset import RealData, SyntheticData
from caebench.specs.inputs.tokenizer import Released
from caebench.specs.site import Assets, Site
from caebench.stages import run_stage
from caebench.tasks import released
from caebench.training.distributed import join_group
from caebench.training.run import Run


@pytest.fixture
def world(tiny):
    return tiny.world


def make_run(folder, site=None, **inputs):
    folder.mkdir(parents=True, exist_ok=True)
    return Run(folder, inputs, site or Site(device="cpu"), join_group("cpu"))


def test_each_layout_is_rendered_by_a_job_and_the_broad_set_by_imagenets(world, tmp_path):
    data = SyntheticData(kind="synthetic", name="imagenet1k", world=world)
    assert run_stage(data, make_run(tmp_path)) == {"num_train": world.num_train, "num_val": world.num_val}
    assert {path.name for path in (tmp_path / "world").iterdir()} == {"imagenet", "broad", "world.json"}
    (tmp_path / "result.json").write_text(json.dumps({"fingerprints": {}}))
    broad = data.replace(name="broad")
    assert linear_probe().replace(data=broad).implied({})["data"].config == data
    split = make_run(tmp_path / "job", data=tmp_path).open_split(broad, "train")
    assert len(split.entries) == world.num_train and split.root.name == "broad"


@pytest.fixture
def real(world, tmp_path, monkeypatch):
    """A small ImageNet at a site, and a publisher who says that it is whole."""
    run_stage(SyntheticData(kind="synthetic", name="imagenet1k", world=world), make_run(tmp_path / "made"))
    small = replace(DATASETS["imagenet1k"], published=DATASETS["imagenet1k"].rendered(world.amount("imagenet1k")))
    monkeypatch.setitem(DATASETS, "imagenet1k", small)
    return Site(device="cpu", data={"imagenet1k": tmp_path / "made" / "world" / "imagenet"})


def test_a_real_set_is_checked_once_and_its_fingerprint_kept(world, real, tmp_path):
    run = make_run(tmp_path / "check", real)
    assert run_stage(RealData(kind="real", name="imagenet1k"), run)["num_val"] == world.num_val
    assert set(run.fingerprints) == {"imagenet1k/train", "imagenet1k/val"}


def test_a_real_set_that_lacks_an_image_is_refused(real, tmp_path):
    next((real.roots["imagenet1k"] / "val").rglob("*.JPEG")).unlink()
    with pytest.raises(DataError, match="19"):
        run_stage(RealData(kind="real", name="imagenet1k"), make_run(tmp_path / "check", real))


def test_a_subset_that_changed_since_its_plan_is_refused(world, real, tmp_path):
    folder = real.roots["imagenet1k"]
    next((folder / "val").rglob("*.JPEG")).unlink()
    site = real.replace(data={"imagenet1k": {"root": folder, "subset": True}})
    config = RealData(kind="real", name="imagenet1k", subset=read_subset("imagenet1k", site))
    assert run_stage(config, make_run(tmp_path / "check", site))["num_val"] == world.num_val - 1
    image = next((folder / "train").rglob("*.JPEG"))
    image.rename(image.with_stem("another"))  # as many images
    with pytest.raises(DataError, match=r"the plan was made with .* Run the suite again"):
        run_stage(config, make_run(tmp_path / "again", site))


def test_a_released_file_is_converted_once(tmp_path, monkeypatch):
    model = torch.nn.Linear(2, 2)
    monkeypatch.setattr(released, "read_dalle", lambda path: model)
    (tmp_path / "encoder.pkl").write_bytes(b"weights")
    run = make_run(tmp_path / "job", Site(device="cpu", assets=Assets(dalle_encoder=tmp_path / "encoder.pkl")))
    assert run_stage(Released(kind="released", name="dalle_encoder"), run) == {"num_parameters": 6}
    assert load_file(run.folder / TOKENIZER).keys() == model.state_dict().keys()
    assert len(run.fingerprints["dalle_encoder"]) == 64


def test_a_site_without_the_file_is_told_where_to_get_it(tmp_path):
    with pytest.raises(ValueError, match=r"\[assets\] dalle_encoder"):
        run_stage(Released(kind="released", name="dalle_encoder"), make_run(tmp_path))
