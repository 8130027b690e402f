"""The JSON Schema of site files."""

import pytest

from caebench.specs.described import described
from caebench.specs.schema import site_schema
from caebench.specs.site import Site
from tests.json_schema import problems

SCHEMA = site_schema()
GOOD = {
    "store": "/shared/store",
    "scale": "paper",
    "per_device_batch_of": {"vit_l": 32},
    "code_cache_gb": 100,
    "data": {"imagenet1k": "/data/imagenet"},
    "assets": {"dalle_encoder": "/shared/encoder.pkl"},
    "slurm": {"partition": "gpu", "setup": ["module load cuda"], "stages": {"pretrain": {"nodes": 8}}},
}


def test_it_accepts_a_site():
    assert problems(SCHEMA, GOOD) == [] and Site.model_validate(GOOD)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("", "stor", "x"),
        ("", "device", "gpu"),
        ("", "compile", 1),
        ("", "per_device_batch", 0),
        ("", "checkpoint_minutes", "10"),
        ("", "calibration", {}),
        ("data", "imagenet", "/data"),
        ("per_device_batch_of", "vit_x", 3),
        ("slurm", "nodes", 0),
        ("slurm", "setup", "module load cuda"),
    ],
)
def test_it_refuses_what_the_loader_refuses(section, field, value):
    inner = {**GOOD[section], field: value} if section else value
    content = {**GOOD, section or field: inner}
    assert len(problems(SCHEMA, content)) == 1
    with pytest.raises(ValueError, match=field):
        Site.model_validate(content)


def test_it_knows_the_kinds_of_jobs():
    content = {"slurm": {"stages": {"pretrian": {"nodes": 8}}}}
    assert problems(SCHEMA, content)[0].startswith(".slurm.stages.pretrian: 'pretrian' is none of ['real',")


def test_its_fields_have_their_descriptions():
    told = {name: field["description"] for name, field in SCHEMA["properties"].items()}
    assert {"calibration": described(Site)["calibration"], **told} == described(Site)
