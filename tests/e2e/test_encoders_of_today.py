"""Encoders that are no plain ViT as jobs: imported, verified, and evaluated by every kind of evaluation."""

import json
import tomllib
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from caebench.checkpoints.encoder_file import read_encoder
from caebench.execution.checkpoints import Given, import_file
from caebench.execution.local import run_plan
from caebench.planning.scale import SCALES
from caebench.report.protocol import deviations, protocol
from caebench.specs.inputs.imported import Imported
from caebench.specs.inputs.imported import imported as imported_recipe
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import Site
from caebench.store.records import read_record
from caebench.store.store import Store
from tests.helpers import read

HUB = Path(__file__).parents[1] / "golden" / "encoders_hf"
WITHOUT = "mean of the patches, as the encoder has no class token"
USED = {
    "ijepa": ("knn", "linear_probe", "linear_probe_grid", "attentive_probe", "finetune", "knn_segmentation"),
    "dinov2_registers": ("finetune", "attentive_probe", "linear_segmentation"),
    "clip_vision": ("knn", "finetune", "knn_segmentation"),
}


def imported(bench, name):
    """The job of a reference file."""
    store = Store(bench.store)
    job, _ = import_file(HUB / name / "model.safetensors", Given(), store, Site(device="cpu"))
    return job, store.folder(job)


@pytest.mark.parametrize("name", USED)
def test_every_kind_of_evaluation_takes_it(bench, quickstart, tiny, log, name):
    encoder, _ = imported(bench, name)
    jobs = {recipe: make_job(tiny.apply(EVALUATIONS[recipe]()), encoder=encoder) for recipe in USED[name]}
    ancestors = {one.id: one for job in jobs.values() for one in [*job.ancestors(), job]}
    outcomes = run_plan(list(ancestors.values()), Store(bench.store), Site(device="cpu"), log.watcher, 1)
    assert {outcomes.by_id[job.id] for job in jobs.values()} == {"done"}, log.reasons
    for recipe, job in jobs.items():
        result = read(bench.folder(job) / "result.json")
        reads_class_token = name == "ijepa" and recipe in ("knn", "linear_probe", "linear_probe_grid")
        expected = {"feature": "mean", "pooling": WITHOUT} if reads_class_token else None
        assert result.get("protocol") == expected, recipe
        assert result["metrics"].keys() & set(job.config.METRICS)
    if name == "ijepa":
        job = jobs["linear_probe"]
        record = read_record(bench.folder(job))
        assert protocol(job.config, record)["pooling"] == WITHOUT
        usual = {"data": {}, "versions": {}}
        assert "pooling: class token -> " + WITHOUT in deviations(job.config, job.config, record, usual)


@pytest.mark.parametrize("name", ["clip_vision", "dinov2_registers", "ijepa", "siglip_vision"])
def test_inspect_import_verify_and_a_second_import_agree(bench, name):
    path = str(HUB / name / "model.safetensors")
    looked = bench.run("ckpt", "inspect", path)
    assert looked.process.exitcode == 0, looked.output
    has_class_token = name in ("clip_vision", "dinov2_registers")
    assert ("no class token: linear probe and k-NN take the mean" in " ".join(looked.output.split())) != has_class_token
    command = bench.run("ckpt", "import", path, "--json")
    assert command.process.exitcode == 0, command.output
    facts = json.loads(command.output)
    assert json.loads(bench.run("ckpt", "import", path, "--json").output) == facts
    assert ("activation" in facts["row"]) == (name == "clip_vision")
    expected = load_file(HUB / f"{name}.expected.safetensors")["tokens"]
    with torch.no_grad():
        encoder = read_encoder(Path(facts["folder"]) / "encoder.safetensors").eval()
        tokens = encoder(load_file(HUB / "images.safetensors")["images"])
    torch.testing.assert_close(tokens, expected, rtol=0, atol=2e-5)
    checks = json.loads(bench.run("ckpt", "verify", facts["id"], "--json").output)
    assert [check["state"] for check in checks[:4]] == ["ok"] * 4, checks


TIMM_USED = {
    "test_vit.r160_in1k": ("knn", "linear_probe", "attentive_probe", "finetune", "knn_segmentation"),
    "test_convnext": ("linear_probe", "finetune"),
}


@pytest.mark.parametrize("name", TIMM_USED)
def test_timms_own_networks_are_imported_and_evaluated(bench, quickstart, tiny, log, tmp_path, name):
    torch.manual_seed(0)
    torch.save(timm.create_model(name, pretrained=False).state_dict(), tmp_path / "weights.pth")
    command = bench.run("ckpt", "import", f"timm:{name}", str(tmp_path / "weights.pth"), "--json")
    assert command.process.exitcode == 0, command.output
    facts = json.loads(command.output)
    assert f'model = "{name}"' in facts["row"] and facts["pixel_source"] == f"timm's config of {name}"
    fields = tomllib.loads(f"row = {facts['row']}")["row"]
    arguments = {key: value for key, value in fields.items() if key not in ("label", "recipe")}
    encoder = make_job(imported_recipe(**arguments))
    assert encoder.id == facts["id"]
    jobs = {}
    for recipe in TIMM_USED[name]:
        config = tiny.apply(EVALUATIONS[recipe]())
        size = {"image_size": 64} if recipe != "knn_segmentation" else {}
        jobs[recipe] = make_job(config.replace(**size), encoder=encoder)
    ancestors = {one.id: one for job in jobs.values() for one in [*job.ancestors(), job]}
    outcomes = run_plan(list(ancestors.values()), Store(bench.store), Site(device="cpu"), log.watcher, 1)
    assert {outcomes.by_id[job.id] for job in jobs.values()} == {"done"}, log.reasons
    protocol = read(bench.folder(jobs["linear_probe"]) / "result.json").get("protocol")
    assert protocol == (None if name == "test_vit.r160_in1k" else {"feature": "mean", "pooling": WITHOUT})
    refused = bench.run("ckpt", "export", encoder.id, "--to", "timm", "--output", str(tmp_path / "out"))
    assert refused.process.exitcode == 2 and "timm's own network" in refused.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("timm:vit_base_patch14_dinov2",), "no file of weights was given. timm says that they are published at https"),
        (("timm:vit_base_patch14_dinov2", "none.pth"), "none.pth: no such file. timm says that they are published at"),
        (("timm:vit_bse_patch16_224", "none.pth"), "Did you mean 'vit_base_patch16_224'?"),
        (("timm:test_vit", "none.pth", "--num-heads", "3"), "timm says heads and activation"),
        (("one.pth", "two.pth"), "two.pth: a second file"),
    ],
)
def test_a_network_of_timms_that_cannot_be_imported_is_one_clear_line(bench, arguments, said):
    command = bench.run("ckpt", "import", *arguments)
    assert command.process.exitcode == 2, command.output
    (line,) = [line for line in command.output.splitlines() if line]
    assert line.startswith("error: ") and said in line


@pytest.mark.parametrize("to", ["timm", "mmpretrain", "official-cae", "hf"])
def test_an_export_that_has_no_place_for_it_is_refused(bench, tmp_path, to):
    job, _ = imported(bench, "dinov2_registers")
    command = bench.run("ckpt", "export", job.id, "--to", to, "--output", str(tmp_path / "x"))
    assert command.process.exitcode == 2
    assert f"--to {to}: it has no place for 4 registers" in command.output
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("knn", "image_size 48 is not a multiple of the patch size 14"),
        ("attentive_probe", "image_size 48 is not a multiple of the patch size 14"),
        ("finetune", "image_size 48 is not a multiple of the patch size 14"),
        ("ade20k", "is not a multiple of the patch size 14. Change crop_size"),
        ("coco", "patches of 14 pixels: detection needs a multiple of 4"),
    ],
)
def test_patches_that_do_not_fill_the_images_are_refused_when_a_plan_is_made(recipe, said):
    config = Imported(kind="imported", sha256="0" * 64, family="dinov2", variant="vit_b", patch_size=14)
    with pytest.raises(ValueError, match=said):
        make_job(SCALES["nano"].apply(EVALUATIONS[recipe]()), encoder=make_job(config))
    if recipe in ("knn", "attentive_probe", "finetune"):
        assert make_job(EVALUATIONS[recipe](), encoder=make_job(config)).id  # 224 = 16 x 14


@pytest.mark.parametrize("recipe", ["knn", "linear_probe"])
def test_class_tokens_of_four_blocks_are_refused_when_a_plan_is_made(bench, recipe):
    job, _ = imported(bench, "ijepa")
    with pytest.raises(ValueError, match=r"field 'feature' is 'last4': encoder ijepa-\w+ has no class token\."):
        make_job(EVALUATIONS[recipe]().replace(feature="last4"), encoder=job)
