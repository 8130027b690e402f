"""Two configs field by field, however they are named; presets are the recipes with what another code base changes."""

import json

import pytest

from caebench.cli.diff import diff
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.report.diff import NOTHING, Change, compare, facts
from caebench.specs.presets import PRESETS
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.store.store import Store
from caebench.suites import loading as suites
from caebench.suites.files import FOLDERS
from tests.helpers import NEEDED

PAPER = SCALES["paper"]
FP16 = Change("optimization.precision", "bf16", "fp16")


@pytest.fixture
def store(tmp_path):
    """Prepared, never run: Table 2 at paper and quickstart at nano scale, two seeds."""
    store = Store(tmp_path)
    for suite, scale in (("segmentation-ade20k", "paper"), ("quickstart", "nano")):
        for job in make_plan(suites.load(suite), SCALES[scale], [0, 1]).jobs:
            store.prepare(job)
    return store


def changes(a, b, store=None, scale="paper"):
    return set(compare(a, b, SCALES[scale], store or Store(None)).changes)


def notes(a, b):
    return " ".join(compare(a, b, PAPER, Store(None)).notes)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("cae", "cae:variant=vit_b,epochs=300"),
        ("cae:epochs=1600,variant=vit_l", "segmentation-ade20k/T2-L-CAE*-1600"),
        ("ablation-mask-ratio/T7-40%", "ablation-mask-ratio/40 %"),
        ("quickstart/CAE, pixels/linear", "linear_probe"),
        ("segmentation-ade20k/T2-L-CAE-1600/best", "ade20k_grid:variant=vit_l"),
        (f"{FOLDERS[1]}/ablation-mask-ratio.toml/T7-50%/ade20k", "ade20k"),
    ],
)
def test_one_config_has_several_names(a, b):
    assert changes(a, b) == set()


def test_every_field_that_differs_is_named_with_both_values():
    assert changes("ablation-mask-ratio/T7-40%", "cae:epochs=800") == {
        Change("method.masking.ratio", 0.4, 0.5),
        Change("optimization.epochs", 300, 800),
        Change("optimization.warmup_epochs", 10.0, 20.0),
    }


def test_a_field_that_one_side_lacks_is_named_too():
    found = {change.field: change for change in changes("cae", "cae:target=dvae")}
    assert found["method.target.vocabulary"] == ("method.target.vocabulary", 8192, NOTHING)
    assert found["method.target.tokenizer.vocabulary"] == ("method.target.tokenizer.vocabulary", NOTHING, 8192)
    plain = facts(compare("cae", "cae:target=dvae", PAPER, Store(None)))["differences"]
    assert {"field": "method.target.vocabulary", "a": 8192} in plain


def test_a_scale_changes_recipes_and_cells_alike():
    assert changes("cae:target=pixels,epochs=1600", "quickstart/CAE, pixels", scale="nano") == set()
    assert changes("cae", "cae:epochs=800", scale="nano") >= {Change("optimization.epochs", 9, 24)}


def job(store, kind, word):
    found = [path for path in store.folders() if path.parent.name == kind and word in path.name]
    return sorted(found)[0].name[-10:]


def test_jobs_are_found_by_the_beginning_of_their_id(store):
    ids = [job(store, "pretrain", f"cae-dalle-vit_b-300e-s{seed}") for seed in (0, 1)]
    assert changes(*ids, store) == {Change("seed", 0, 1)}
    assert changes(ids[0], "cae", store) == set()


def test_of_two_jobs_the_inputs_are_compared(store):
    pixels, dvae = (job(store, "linear_probe", name) for name in ("cae-pixels", "cae-dvae"))
    (change,) = [c for c in changes(pixels, dvae, store) if c.field != "seed"]
    assert change.field == "inputs.encoder"
    assert "cae-pixels" in change.a and "cae-dvae" in change.b


def test_a_damaged_job_file_is_named(store):
    name = job(store, "pretrain", "cae-dalle-vit_b-300e-s0")
    path = store.find(name) / "job.json"
    path.write_text(path.read_text().replace('"seed"', '"sead"'))
    with pytest.raises(ValueError, match=r"job\.json: unknown field .*sead.* Another version"):
        compare(name, "cae", PAPER, store)


OFFICIAL = {
    "cae": {FP16},
    "cae:variant=vit_l,epochs=1600": {
        FP16,
        Change("method.latent_dim", None, 768),
        Change("method.latent_num_heads", None, 12),
        Change("method.latent_layer_scale", 1e-5, 0.1),
        Change("method.init", "truncated_normal", "xavier"),
    },
    "ablation-mask-ratio/T7-40%": {FP16, Change("method.masking.ratio", 0.4, 0.5)},
    "linear_probe": {FP16},
    "attentive_probe": {FP16},
    "finetune": {FP16},
    "finetune:variant=vit_l": {FP16, Change("mixing.group", 128, 64)},
    "ade20k": {FP16},
    "coco:variant=vit_l": {FP16},
    "coco_cascade": set(),
}
MMPRETRAIN = {
    "cae": {FP16, Change("method.masking.ratio", 0.5, 75 / 196), Change("method.drop_path", 0.1, 0.0)},
    "finetune": {
        Change("optimization.global_batch", 4096, 1024),
        Change("optimization.base_lr", 8e-3 * 256 / 4096, 8e-3 * 256 / 1024),
        Change("optimization.precision", "bf16", "fp32"),
    },
}


@pytest.mark.parametrize(
    ("preset", "name", "expected"),
    [
        *[("official", name, expected) for name, expected in OFFICIAL.items()],
        *[("mmpretrain", name, expected) for name, expected in MMPRETRAIN.items()],
    ],
)
def test_a_preset_differs_in_the_fields_that_its_code_changes(preset, name, expected):
    assert changes(name, preset) == expected
    assert changes(preset, name) == {Change(field, b, a) for field, a, b in expected}


def test_the_official_segmentation_rate_follows_the_epochs_of_pretraining(store):
    found = {}
    for epochs in (300, 800, 1600):
        name = job(store, "segmentation", f"ade20k-lr0.0003-cae-dalle-vit_b-{epochs}e-s0")
        found[epochs] = {c.b for c in changes(name, "official", store) if c.field == "optimization.lr"}
    assert found == {300: set(), 800: {2e-4}, 1600: {1e-4}}
    assert "0.0001 after 1600" in notes("ade20k", "official")


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("attentive_probe", "official", "own statistics"),
        ("cae:variant=vit_l", "official", "lacks a line continuation"),
        ("cae:variant=vit_s", "official", "nothing for vit_s"),
        ("coco:variant=vit_l", "official", "the paper's text says 0.8"),
        ("ade20k", "official", "the rate decays from the first iteration on"),
        ("ade20k", "official", "without antialiasing"),
        ("finetune", "official", "a cutmix box with odd sides one pixel smaller"),
        ("finetune", "official", "mixup and cutmix draw once for the images of a GPU"),
        ("deit", "official", "the rate changes once an epoch"),
        ("dino", "official", "float32 (ours: bf16"),
        ("finetune", "mmpretrain", "pixel mean and standard deviation 127.5"),
        ("cae:epochs=800", "mmpretrain", "only ViT-B pretrained for 300 epochs"),
    ],
)
def test_what_no_field_can_say_is_a_note(a, b, said):
    assert said in notes(a, b)


HAS = {
    "official": (
        *("cae", "mae", "beit", "deit", "moco_v3", "dino", "ibot"),
        *("linear_probe", "attentive_probe", "finetune", "ade20k", "coco", "coco_cascade"),
    ),
    "mmpretrain": ("cae", "finetune"),
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("recipe", {**SOURCES, **EVALUATIONS})
@pytest.mark.parametrize("variant", ["vit_s", "vit_b", "vit_l", "vit_h"])
def test_a_preset_answers_for_every_recipe_or_says_what_it_has(preset, recipe, variant):
    name = ",".join([f"{recipe}:variant={variant}", *(f"{k}={v}" for k, v in NEEDED.get(recipe, {}).items())])
    if recipe in HAS[preset]:
        assert all(note.startswith(f"{preset}: ") for note in compare(name, preset, PAPER, Store(None)).notes)
    else:
        with pytest.raises(ValueError, match=f"preset '{preset}': .* has no such .* It has pretraining"):
            compare(name, preset, PAPER, Store(None))


MISTAKES = {
    ("cae", "linear_probe"): ["'cae' is of kind pretrain", "'linear_probe' of kind linear_probe", "the same kind"],
    ("cae", "linear_prob"): ["'linear_prob'", "Did you mean 'linear_probe'?", "SUITE/ROW", "Presets"],
    ("cae", "cea"): ["'cea'", "no job has this id", "Did you mean 'cae'?"],
    ("cae", "cae:epochs=many"): ["'cae:epochs=many'", "epochs", "'many'", "integer"],
    ("cae", "cae:epochs=0"): ["epochs", "greater than 0"],
    ("cae", "cae:lr=1"): ["takes no 'lr'", "It takes: variant, epochs, target"],
    ("cae", "cae:variant"): ["'variant' needs one value", "cae:variant=VALUE"],
    ("cae", "cae:target=pixel"): ["'target' is 'pixel'", "input should be 'dalle', 'dvae' or 'pixels'"],
    ("ade20k", "ade20k:variant=vit_x"): ["unknown variant 'vit_x'", "vit_s, vit_b"],
    ("official", "mmpretrain"): ["both presets", "SUITE/ROW/COLUMN"],
    ("official:epochs=300", "cae"): ["'official:epochs=300'", "Presets, without arguments: official"],
    ("knn", "official"): ["'official'", "no such knn", "It has pretraining"],
    ("food101", "official"): ["no such finetune", "ImageNet fine-tuning"],
    ("cae", "quickstart/CAE*, DALL-E"): ["quickstart.toml, row 4", "quoted", "Name a row that is not quoted"],
    ("cae", "quickstart/CAE, pixel"): ["no row 'CAE, pixel'", "Did you mean 'CAE, pixels'?", "Rows: "],
    ("knn", "quickstart/CAE, pixels/k-NN"): ["unknown column 'k-NN'", "Known: linear, attentive, knn"],
    ("cae", "quikstart/CAE, pixels"): ["suite 'quikstart'", "Did you mean 'quickstart'?"],
}


@pytest.mark.parametrize(("a", "b"), MISTAKES)
def test_a_mistake_is_explained(a, b, tmp_path):
    with pytest.raises(ValueError, match=r"\w") as caught:
        compare(a, b, PAPER, Store(tmp_path))
    assert [part for part in MISTAKES[a, b] if part not in str(caught.value)] == [], str(caught.value)


def test_a_preset_is_refused_at_another_scale(store):
    with pytest.raises(ValueError, match=r"preset 'official' is at paper scale, 'cae' is not\. Omit --scale"):
        compare("cae", "official", SCALES["nano"], store)
    nano = job(store, "linear_probe", "cae-pixels")
    with pytest.raises(ValueError, match=r"'official' is at paper scale, 'linear_probe/.*' is not"):
        compare(nano, "official", PAPER, store)


def test_the_verb_prints_fields_values_and_notes(capsys, tmp_path):
    diff("finetune", "mmpretrain", store=tmp_path)
    printed = capsys.readouterr().out
    assert [word for word in ("optimization.global_batch", "4096", "1024", "127.5") if word not in printed] == []


def test_the_verb_says_that_configs_are_equal(capsys, tmp_path):
    diff("ade20k_grid", "segmentation-ade20k/T2-B-CAE*-300/best", store=tmp_path)
    assert "equal in every field that can change a number" in capsys.readouterr().out


def test_lists_of_words_survive_the_table(capsys, tmp_path):
    diff("coco", "coco", scale="nano", store=tmp_path)
    diff("ade20k_grid", "ade20k_grid:variant=vit_l", store=tmp_path)
    assert "[3e-05, 4e-05, 5e-05]" in capsys.readouterr().out


def test_the_verb_prints_json(capsys, tmp_path):
    diff("linear_probe", "official", store=tmp_path, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "linear_probe" and not found["equal"]
    assert found["differences"] == [{"field": "optimization.precision", "a": "bf16", "b": "fp16"}]
    assert found["notes"]
