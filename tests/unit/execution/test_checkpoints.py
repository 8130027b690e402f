"""An import opens, maps, builds and hashes its file once; the job finds what came of it."""

import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import pytest

from caebench.checkpoints import inspection, parts
from caebench.checkpoints.encoder_file import read_encoder
from caebench.checkpoints.export import export
from caebench.checkpoints.loading import load_encoder
from caebench.execution.checkpoints import Given, import_file, row
from caebench.execution.worker import run_job
from caebench.files.toml import inline
from caebench.specs.inputs.imported import imported
from caebench.specs.site import Site
from caebench.store.store import Store

GOLDEN = Path(__file__).parents[2] / "golden" / "encoders"
SITE = Site(device="cpu")


@pytest.fixture
def counts(monkeypatch):
    """How often a function was called, by its name; digests only those of the file that is imported."""
    found = {}

    def count(module, name):
        function = getattr(module, name)

        def counted(*given, **named):
            if name != "file_digest" or "imported" in str(given[0].name):
                found[name] = found.get(name, 0) + 1
            return function(*given, **named)

        monkeypatch.setattr(module, name, counted)

    for module, name in ((parts, "read"), (parts, "map_names"), (inspection, "build"), (hashlib, "file_digest")):
        count(module, name)
    return found


ONCE = {"read": 1, "map_names": 1, "build": 1, "file_digest": 1}


@pytest.fixture
def pickle(tmp_path):
    return Path(shutil.copy(GOLDEN / "mae.pth", tmp_path / "imported.pth"))


def test_an_import_opens_maps_builds_and_hashes_its_file_once(counts, pickle, tmp_path):
    job, found = import_file(pickle, Given(num_heads=3), Store(tmp_path / "store"), SITE)
    assert counts == ONCE
    folder = Store(tmp_path / "store").folder(job)
    result = json.loads((folder / "result.json").read_text(encoding="utf8"))
    assert result["fingerprints"] == {"mae": hashlib.sha256(pickle.read_bytes()).hexdigest()}
    assert result["metrics"]["num_heads"] == 3 and found["family"] == "mae"


def test_so_does_one_that_the_manifest_of_assets_knows(counts, tmp_path):
    """Every entry of the manifest with a digest is compared with the one that is known."""
    sha256 = hashlib.sha256((GOLDEN / "beit.pth").read_bytes()).hexdigest()
    entry = {"url": "https://x", "licence": "x", "purpose": "x", "source": "x", "pixel_stats": "clip"}
    digests = [("other.pth", "0" * 64, ""), ("imported.pth", "", f"sha256:{'1' * 8}"), ("more.pth", sha256, "")]
    tables = [{**entry, "file": file, "sha256": full, "published": part} for file, full, part in digests]
    lines = [[f"[a{number}]", *(f'{k} = "{v}"' for k, v in table.items())] for number, table in enumerate(tables)]
    (tmp_path / "own.toml").write_text("\n".join(line for part in lines for line in part), encoding="utf8")
    path = shutil.copy(GOLDEN / "beit.pth", tmp_path / "imported.pth")
    given = Given(num_heads=3, manifest=tmp_path / "own.toml")
    _, found = import_file(Path(path), given, Store(tmp_path / "store"), SITE)
    assert counts == ONCE
    assert (found["pixel_stats"], found["pixel_source"]) == ("clip", "the manifest of assets ([a2])")


def test_so_does_a_second_import_and_a_file_of_safetensors(counts, pickle, tmp_path):
    store = Store(tmp_path / "store")
    first, _ = import_file(pickle, Given(num_heads=3), store, SITE)
    counts.clear()
    assert import_file(pickle, Given(num_heads=3), store, SITE)[0].id == first.id
    assert counts == ONCE
    export(read_encoder(store.folder(first) / "encoder.safetensors"), "timm", tmp_path / "imported.safetensors")
    counts.clear()
    import_file(tmp_path / "imported.safetensors", Given(), store, SITE)
    assert counts == ONCE


def test_what_the_job_keeps_is_what_the_file_holds(pickle, tmp_path):
    store = Store(tmp_path / "store")
    folder = store.folder(import_file(pickle, Given(num_heads=3), store, SITE)[0])
    kept, loaded = read_encoder(folder / "encoder.safetensors"), load_encoder(pickle, num_heads=3)
    assert kept.variant == loaded.variant and kept.pixel_stats == loaded.pixel_stats
    for name, tensor in loaded.state_dict().items():
        assert tensor.equal(kept.state_dict()[name]), name
    record = json.loads((folder / "mapping.json").read_text(encoding="utf8"))
    assert record["mapped"] == dict(loaded.report.mapped) and record["unused_keys"] == dict(loaded.report.unused_keys)


def test_an_import_that_was_killed_is_finished_without_its_file(pickle, tmp_path):
    store = Store(tmp_path / "store")
    job, _ = import_file(pickle, Given(num_heads=3), store, SITE)
    before = store.result(job)
    (store.folder(job) / "result.json").unlink()
    pickle.unlink()
    assert run_job(store.folder(job), store.root, SITE) == "done"
    assert store.result(job)["metrics"] == before["metrics"]


def test_a_job_whose_files_are_another_imports_fails(pickle, tmp_path):
    store = Store(tmp_path / "store")
    folder = store.folder(import_file(pickle, Given(num_heads=3), store, SITE)[0])
    (folder / "result.json").unlink()
    record = json.loads((folder / "mapping.json").read_text(encoding="utf8"))
    (folder / "mapping.json").write_text(json.dumps({**record, "sha256": "0" * 64}), encoding="utf8")
    assert run_job(folder, store.root, SITE) == "failed"
    assert "Import it again" in json.loads((folder / "failure.json").read_text(encoding="utf8"))["error"]
    import_file(pickle, Given(num_heads=3), store, SITE)
    assert store.state(store.read_job(folder)) == "done"


HUB = Path(__file__).parents[2] / "golden" / "encoders_hf"


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("vit", {}, (None, None)),
        ("vit", {"layer_norm_eps": 1e-6, "hidden_act": "gelu_new"}, ("gelu_tanh", 1e-6)),
        ("clip_vision", {}, ("quick_gelu", None)),
        ("clip_vision", {"hidden_act": "gelu"}, ("gelu", None)),
        ("ijepa", {}, (None, 1e-12)),
        ("ijepa", {"layer_norm_eps": 1e-6}, (None, None)),
        ("siglip_vision", {}, (None, None)),
    ],
)
def test_an_id_names_activation_and_epsilon_that_content_and_family_do_not_determine(tmp_path, name, changes, expected):
    """The same weights with another activation are another encoder; its row gives the same job again."""
    shutil.copy(HUB / name / "model.safetensors", tmp_path)
    config = {**json.loads((HUB / name / "config.json").read_text(encoding="utf8")), **changes}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf8")
    given = Given(pixel_stats="imagenet" if name == "vit" else None)
    job, _ = import_file(tmp_path / "model.safetensors", given, Store(tmp_path / "store"), Site(device="cpu"))
    assert (job.config.activation, job.config.norm_eps) == expected
    fields = tomllib.loads(f"row = {inline(row(job, 'x'))}")["row"]
    assert imported(**{key: value for key, value in fields.items() if key not in ("label", "recipe")}) == job.config
