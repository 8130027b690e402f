"""`caebench ckpt` as it is typed: exit status, what is printed, what is refused."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from caebench.checkpoints.encoder_file import read_encoder
from caebench.execution.local import run_plan
from caebench.planning.graph import make_plan
from caebench.specs.cost import gpu_hours
from caebench.specs.inputs.imported import Imported
from caebench.specs.job import make_job
from caebench.specs.pixel_stats import name_of, parse_stats
from caebench.specs.site import Site
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.helpers import read

GOLDEN = Path(__file__).parents[1] / "golden" / "encoders"
FAMILIES = ["beit", "cae", "deit", "dino", "ibot", "mae", "moco_v3", "simmim"]


@pytest.mark.parametrize("family", ["cae", "mae"])
def test_inspect_says_what_is_in_a_file(bench, family):
    command = bench.run("ckpt", "inspect", str(GOLDEN / f"{family}.pth"), "--json")
    assert command.process.exitcode == 0, command.output
    found = json.loads(command.output)
    assert (found["family"], found["width"], found["blocks"], found["num_heads"]) == (family, 48, 2, None)
    assert (found["grid"], found["precision"], found["not_finite"]) == ([6, 6], ["float32"], {})
    assert len(found["sha256"]) == 64 and found["problems"] == []
    assert bench.run("ckpt", "inspect", str(GOLDEN / f"{family}.pth"), "--num-heads", "3").process.exitcode == 0


def content(name):
    return torch.load(GOLDEN / f"{name}.pth", weights_only=False)


def hostile(path, trace):
    path.write_bytes(b"cposix\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR.")


def truncated(path, trace):
    path.write_bytes((GOLDEN / "mae.pth").read_bytes()[:5000])


def empty(path, trace):
    path.write_bytes(b"")


def with_nan(path, trace):
    file = content("mae")
    file["model"]["blocks.0.norm1.weight"][0] = float("nan")
    torch.save(file, path)


def unexpected(path, trace):
    file = content("mae")
    file["model"]["blocks.0.attn.q_norm.weight"] = torch.ones(16)
    torch.save(file, path)


def missing(path, trace):
    file = content("mae")
    del file["model"]["blocks.0.norm1.weight"]
    torch.save(file, path)


def resnet(path, trace):
    save_file({"layer1.0.conv1.weight": torch.ones(4, 3, 3, 3)}, path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (hostile, "posix.system"),
        (truncated, "its end is missing or damaged"),
        (empty, "is empty"),
        (with_nan, "blocks.0.norm1.weight"),
        (unexpected, "blocks.0.attn.q_norm.weight"),
        (missing, "blocks.0.norm1.weight"),
        (resnet, "no family fits"),
    ],
)
@pytest.mark.parametrize("verb", ["inspect", "import"])
def test_a_bad_file_is_one_clear_error_and_exit_status_2(bench, tmp_path, verb, make, said):
    path, trace = tmp_path / "x.pth", tmp_path / "trace"
    make(path, trace)
    command = bench.run("ckpt", verb, str(path), "--num-heads", "3")
    assert command.process.exitcode == 2, command.output
    error = command.output.strip().splitlines()[-1]
    assert error.startswith("error: ") and said in error
    assert not trace.exists() and "Traceback" not in command.output


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_control_characters_and_markup_of_a_file_never_reach_the_terminal(bench, tmp_path, options):
    name, file = "\x1b]0;title\x07[/]\n\u202e\ud800", content("mae")
    file["model"][f"decoder_blocks.{name}"] = torch.full((2,), float("nan"))
    torch.save({**file, name: 1}, tmp_path / "x.pth")
    command = bench.run("ckpt", "inspect", str(tmp_path / "x.pth"), "--num-heads", "3", *options)
    assert command.process.exitcode == 0, command.output
    assert not {"\x1b", "\x07", "\u202e"} & set(command.output)
    file["model"][f"blocks.0.{name}"] = torch.ones(1)
    torch.save(file, tmp_path / "x.pth")
    said = refused(bench, "import", str(tmp_path / "x.pth"))
    assert "blocks.0.\\x1b]0;title\\x07[/]\\n\\u202e\\ud800" in said


def test_a_wrong_family_is_exit_status_2(bench):
    command = bench.run("ckpt", "inspect", str(GOLDEN / "mae.pth"), "--family", "beit")
    assert command.process.exitcode == 2
    assert "It looks like MAE" in command.output


def test_an_import_is_a_finished_job_that_a_second_import_finds(bench):
    path = GOLDEN / "dino.pth"
    command = bench.run("ckpt", "import", str(path), "--num-heads", "3", "--json")
    assert command.process.exitcode == 0, command.output
    facts = json.loads(command.output)
    folder = Path(facts["folder"])
    assert (folder / "encoder.safetensors").exists()
    result, mapping = read(folder / "result.json"), read(folder / "mapping.json")
    assert result["metrics"]["num_heads"] == 3
    assert result["fingerprints"] == {"dino": mapping["sha256"]} and mapping["sha256"] in facts["row"]
    assert mapping["mapped"]["backbone.patch_embed.proj.weight"] == "patch_embed.weight"
    again = bench.run("ckpt", "import", str(path), "--num-heads", "3", "--json")
    assert json.loads(again.output) == facts
    assert read(folder / "result.json") == result
    assert bench.run("why", facts["id"]).process.exitcode == 0


SUITE = """
source = {{ title = "Released encoders" }}
pretrain = {{ recipe = "imported" }}
columns.knn = {{ header = "k-NN", eval = "knn" }}
columns.linear = {{ header = "LIN", eval = "linear_probe" }}
rows = [
    {row},
]
"""


def write_suite(tmp_path, row):
    path = tmp_path / "released.toml"
    path.write_text(SUITE.format(row=row), encoding="utf8")
    return path


def test_a_suite_names_an_import_and_evaluates_it(bench, tiny, log, tmp_path):
    """BEiT's: without positions, with a shared bias, on images of another size, of other pixels than ImageNet's."""
    given = ("--num-heads", "3", "--pixel-stats", "inception")
    row = json.loads(bench.run("ckpt", "import", str(GOLDEN / "beit.pth"), *given, "--json").output)["row"]
    assert 'pixel_stats = "inception"' in row
    plan = make_plan(suites.load(str(write_suite(tmp_path, row))), tiny, [0, 1])
    imports = [job for job in plan.jobs if job.kind == "imported"]
    assert len(imports) == 1, "a released file has no seed; its evaluations have"
    assert len([job for job in plan.jobs if job.kind == "linear_probe"]) == 2
    assert [gpu_hours(job) for job in imports] == [0.0]
    assert [job.config.pixel_stats for job in imports] == ["inception"]
    outcomes = run_plan(plan.jobs, Store(bench.store), Site(device="cpu"), log.watcher, 1)
    assert set(outcomes.by_id.values()) <= {"done", "cached"}, log.reasons
    assert outcomes.by_id[imports[0].id] == "cached"


def test_a_suite_whose_import_is_missing_is_refused_before_it_runs(bench, tmp_path):
    sha = "ab" * 32
    row = f'{{ label = "MAE, released", sha256 = "{sha}", family = "mae", variant = "vit_b" }}'
    path = write_suite(tmp_path, row)
    assert bench.run("plan", str(path)).process.exitcode == 0
    command = bench.run("run", "suite", str(path), "--yes")
    assert command.process.exitcode == 2, command.output
    assert f"SHA-256 is {sha}: caebench ckpt import PATH --family mae" in command.output
    path = write_suite(tmp_path, row.replace('"mae"', '"beit", pixel_stats = "inception"'))
    command = bench.run("run", "suite", str(path), "--yes")
    assert "caebench ckpt import PATH --family beit --pixel-stats inception" in command.output


def test_a_row_that_says_another_size_than_the_files_is_refused(bench, tmp_path):
    row = json.loads(bench.run("ckpt", "import", str(GOLDEN / "mae.pth"), "--num-heads", "3", "--json").output)["row"]
    path = write_suite(tmp_path, row.replace(" }", ', variant = "vit_l" }'))
    command = bench.run("run", "suite", str(path), "--yes")
    assert command.process.exitcode == 2, command.output
    assert "width 48, not 1024 and blocks 2, not 24" in command.output


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{ label = "x" }', "needs sha256 and family"),
        (f'{{ label = "x", sha256 = "{"0" * 64}", family = "timm" }}', "family 'timm' holds encoders of different"),
        (f'{{ label = "x", sha256 = "{"0" * 64}", family = "hf", pixel_stats = "clap" }}', "pixel statistics 'clap'"),
        ('{ label = "x", sha256 = "abc", family = "mae" }', "'sha256'"),
        (f'{{ label = "x", sha256 = "{"0" * 64}", family = "mea" }}', "'family'"),
        (f'{{ label = "x", sha256 = "{"0" * 64}", family = "mae", epochs = 3 }}', "takes no 'epochs'"),
    ],
)
def test_a_row_that_names_no_file_is_explained(bench, tmp_path, row, said):
    command = bench.run("plan", str(write_suite(tmp_path, row)))
    assert command.process.exitcode == 2
    assert said in command.output and 'row 1 ("x")' in command.output


def test_running_an_import_without_its_file_says_what_to_do(bench):
    config = Imported(kind="imported", sha256="0" * 64, family="mae")
    job = make_job(config)
    Store(bench.store).prepare(job)
    command = bench.run("run", "job", job.id)
    assert command.process.exitcode == 1
    assert "caebench ckpt import PATH --family mae" in command.output


@pytest.mark.parametrize("to", ["timm", "mmpretrain", "official-cae", "hf"])
def test_import_export_and_import_again_give_identical_tokens(bench, tmp_path, to):
    for family in ("beit", "mae"):
        given = ("--pixel-stats", "inception") if family == "beit" else ()
        first = import_(bench, GOLDEN / f"{family}.pth", "--num-heads", "3", *given)
        out = tmp_path / f"{family}-{to}"
        command = bench.run("ckpt", "export", first.name[-10:], "--to", to, "--output", str(out), "--json")
        assert command.process.exitcode == 0, command.output
        second = import_(bench, out / "model.safetensors" if out.is_dir() else out)
        images = load_file(GOLDEN / f"{family}.expected.safetensors")["images"]
        encoders = [read_encoder(folder / "encoder.safetensors") for folder in (first, second)]
        assert first != second and torch.equal(*(encoder(images) for encoder in encoders))
        assert [name_of(encoder.pixel_stats) for encoder in encoders] == [given[1] if given else "imagenet"] * 2


def import_(bench, path, *options):
    command = bench.run("ckpt", "import", str(path), *options, "--json")
    assert command.process.exitcode == 0, command.output
    return Path(json.loads(command.output)["folder"])


BEIT_22K = "beit_base_patch16_224_pt22k.pth"  # as the manifest of assets names it


def beit(tmp_path, name="beit.pth", config=None):
    """The reference file of BEiT, whose family leaves the pixels open, under a name and beside a config."""
    path = tmp_path / name
    path.write_bytes((GOLDEN / "beit.pth").read_bytes())
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf8")
    return path


def refused(bench, *arguments):
    command = bench.run("ckpt", *arguments)
    assert command.process.exitcode == 2, command.output
    (line,) = [line for line in command.output.splitlines() if line]
    assert line.startswith("error: ")
    return line


def test_pixels_that_nothing_says_are_asked_for(bench, tmp_path):
    path = str(beit(tmp_path))
    line = refused(bench, "import", path, "--num-heads", "3")
    assert "the statistics of its pixels: encoders of BEiT have different ones" in line
    assert "Give --pixel-stats imagenet|inception|clip|M1,M2,M3/S1,S2,S3." in line
    looked = bench.run("ckpt", "inspect", path)
    assert looked.process.exitcode == 0 and "not determined: give --pixel-stats" in looked.output
    given = json.loads(bench.run("ckpt", "inspect", path, "--pixel-stats", "0.5,0.5,0.5/.5,.5,.5", "--json").output)
    assert (given["pixel_stats"], given["pixel_source"]) == ("inception", "--pixel-stats")


@pytest.mark.parametrize("verb", ["inspect", "import"])
@pytest.mark.parametrize("pixels", ["imagenet", "clip"])
def test_pixels_that_contradict_what_is_known_are_one_clear_line(bench, tmp_path, verb, pixels):
    given = ("--num-heads", "3", "--pixel-stats", pixels)
    path = str(beit(tmp_path, BEIT_22K))
    told = f"the manifest of assets ([beit_base_22k]) says inception, and --pixel-stats {pixels}. Leave"
    assert told in refused(bench, verb, path, *given)
    mean, std = ([0.31, 0.42, 0.57], [0.21, 0.33, 0.47])
    (tmp_path / "x").mkdir()
    path = str(beit(tmp_path / "x", config={"pretrained_cfg": {"mean": mean, "std": std}}))
    assert f"config.json says 0.31,0.42,0.57/0.21,0.33,0.47, and --pixel-stats {pixels}" in refused(
        bench, verb, path, *given
    )
    if pixels != "imagenet":
        line = refused(bench, verb, str(GOLDEN / "mae.pth"), *given)
        assert f"the family MAE says imagenet, and --pixel-stats {pixels}" in line


@pytest.mark.parametrize(
    ("pixels", "said"),
    [("inceptoin", "Did you mean 'inception'?"), ("127,127,127/127,127,127", "a mean is from 0 to 1")],
)
def test_pixels_that_are_none_are_one_clear_line(bench, pixels, said):
    line = refused(bench, "import", str(GOLDEN / "beit.pth"), "--pixel-stats", pixels)
    assert line.startswith("error: pixel statistics '") and said in line


def test_an_import_says_where_its_pixels_were_learnt_from_and_verify_says_it_again(bench, tmp_path):
    path = beit(tmp_path, BEIT_22K)
    source = "the manifest of assets ([beit_base_22k])"
    command = bench.run("ckpt", "import", str(path), "--num-heads", "3")
    assert f"Pixel statistics: inception ({source})" in command.output
    folder = import_(bench, path, "--num-heads", "3")
    assert read_encoder(folder / "encoder.safetensors").pixel_stats == parse_stats("inception")
    checks = json.loads(bench.run("ckpt", "verify", folder.name[-10:], "--json").output)
    assert {"what": "pixels", "state": "ok", "found": f"inception: {source}"} in checks


def test_a_manifest_of_ones_own_knows_a_file_by_its_digest(bench, tmp_path):
    sha256 = hashlib.sha256((GOLDEN / "beit.pth").read_bytes()).hexdigest()
    entry = {"file": "other.pth", "url": "https://x", "licence": "x", "purpose": "x", "source": "x", "sha256": sha256}
    lines = [f'{name} = "{value}"' for name, value in {**entry, "pixel_stats": "clip"}.items()]
    (tmp_path / "own.toml").write_text("\n".join(["[mine]", *lines]), encoding="utf8")
    found = bench.run("ckpt", "inspect", str(GOLDEN / "beit.pth"), "--manifest", str(tmp_path / "own.toml"), "--json")
    assert json.loads(found.output)["pixel_source"] == "the manifest of assets ([mine])"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ffffffffff", "--to", "timm"), "no job has this id"),
        (("KNN", "--to", "timm"), "not a finished job with an encoder"),
        (("ENCODER", "--to", "tim"), "Did you mean 'timm'?"),
    ],
)
def test_an_export_that_cannot_be_is_explained(bench, quickstart, arguments, said):
    ids = {"KNN": quickstart.job("knn", "random").id, "ENCODER": quickstart.job("random_encoder", "random").id}
    command = bench.run("ckpt", "export", *(ids.get(argument, argument) for argument in arguments))
    assert command.process.exitcode == 2
    assert said in command.output


def test_verify_looks_at_images_where_some_are_at_hand(bench, quickstart):
    job = quickstart.job("pretrain", "cae-pixels")
    command = bench.run("ckpt", "verify", job.id, "--json")
    found = {check["what"]: check for check in json.loads(command.output)}
    assert [found[what]["state"] for what in ("key coverage", "finite values", "features")] == ["ok"] * 3
    assert {"k-NN", "linear"} <= found.keys()
    assert all("images of imagenet1k; expected" in found[what]["found"] for what in ("k-NN", "linear"))
    assert command.process.exitcode == ("bad" in {check["state"] for check in found.values()})
    wrong = bench.run("ckpt", "verify", job.id, "--data", "food101")
    assert wrong.process.exitcode == 2 and "--data 'food101': not available" in wrong.output
