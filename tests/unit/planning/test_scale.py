"""Scales: paper changes nothing, the others shrink without merging."""

import pytest
from timm.data.auto_augment import rand_augment_transform

from caebench.planning.scale import SCALES
from caebench.specs.base import Config
from caebench.specs.evaluations.finetune import FinetuneRule, finetune, rarer
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.inputs.dataset import RealData, SyntheticData
from caebench.specs.job import make_job
from caebench.specs.methods.cae import cae
from caebench.specs.optim import AdamW, Optimization
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.specs.scale import Shrink
from caebench.specs.targets import DALLETarget, DVAETarget
from tests.helpers import NEEDED

RECIPES = {**SOURCES, **EVALUATIONS}
SMALL = [name for name in SCALES if name != "paper"]
SYNTHETIC = [name for name in SMALL if SCALES[name].world is not None]


@pytest.mark.parametrize("name", RECIPES)
def test_paper_is_the_identity(name):
    config = RECIPES[name](variant="vit_l", **NEEDED.get(name, {}))
    assert SCALES["paper"].apply(config) is config


@pytest.mark.parametrize("scale", SYNTHETIC)
@pytest.mark.parametrize("name", RECIPES)
def test_small_scales_leave_no_real_data_behind(scale, name):
    config = SCALES[scale].apply(RECIPES[name](variant="vit_b", **NEEDED.get(name, {})))
    assert not hasattr(config, "data") or isinstance(config.data, SyntheticData)
    assert "'kind': 'real'" not in str(config.model_dump())


@pytest.mark.parametrize("scale", SMALL)
@pytest.mark.parametrize("name", RECIPES)
def test_variants_stay_different(scale, name):
    """ViT-S, B, L and H become four encoders, whatever shares a recipe."""
    sources = [SCALES[scale].apply(cae(variant)) for variant in ("vit_s", "vit_b", "vit_l", "vit_h")]
    assert len({source.variant for source in sources}) == len({make_job(source).id for source in sources}) == 4


@pytest.mark.parametrize("scale", SMALL)
def test_lengths_and_depths_stay_in_order(scale):
    epochs = [SCALES[scale].apply(cae(epochs=n)).optimization.epochs for n in (300, 800, 1600)]
    assert len(set(epochs)) == 3 and epochs == sorted(epochs)
    config = cae()
    depths = []
    for depth in (1, 2, 4, 5):
        changed = config.replace(method=config.method.replace(regressor_depth=depth))
        depths.append(SCALES[scale].apply(changed).method.regressor_depth)
    assert len(set(depths)) == 4 and depths == sorted(depths)


@pytest.mark.parametrize("scale", SMALL)
@pytest.mark.parametrize("name", ["mae", "beit", "deit", "moco_v3", "dino", "ibot"])
def test_no_two_lengths_or_sizes_of_a_method_become_one(scale, name):
    found = [
        make_job(SCALES[scale].apply(SOURCES[name](variant=variant, epochs=epochs)))
        for variant in ("vit_s", "vit_b", "vit_l")
        for epochs in (300, 400, 800, 1600)
    ]
    assert len({job.id for job in found}) == 12
    for first in (0, 4, 8):
        lengths = [job.config.optimization.epochs for job in found[first : first + 4]]
        assert lengths == sorted(set(lengths))


@pytest.mark.parametrize("scale", SYNTHETIC)
@pytest.mark.parametrize("name", RECIPES)
def test_a_small_scale_on_real_data_differs_in_its_data_alone(scale, name):
    recipe = RECIPES[name](variant="vit_b", **NEEDED.get(name, {}))
    synthetic, real = (SCALES[one].apply(recipe) for one in (scale, f"{scale}-real"))
    assert on_real_data(synthetic) == real


def on_real_data(config):
    """The same with the real set in place of each synthetic one, and DALL-E in place of its stand-in."""
    if isinstance(config, DVAETarget) and config.tokenizer.data.name == "broad":
        return DALLETarget(kind="dalle")
    if isinstance(config, SyntheticData):
        return RealData(kind="real", name=config.name)
    inner = {name: getattr(config, name) for name in type(config).model_fields}
    return config.replace(**{name: on_real_data(one) for name, one in inner.items() if isinstance(one, Config)})


@pytest.mark.parametrize("scale", SYNTHETIC)
def test_the_tokenizer_gives_one_code_a_patch(scale):
    from caebench.specs.variants import VARIANTS

    for target in ("dalle", "dvae"):
        config = SCALES[scale].apply(cae(target=target))
        assert isinstance(config.method.target, DVAETarget)
        tokenizer = config.method.target.tokenizer
        grid = config.image_size // VARIANTS[config.variant].patch_size
        assert tokenizer.image_size == grid * 2**tokenizer.num_downsamplings
    dalle, own = (make_job(SCALES[scale].apply(cae(target=target))) for target in ("dalle", "dvae"))
    assert dalle.inputs["tokenizer"].id != own.inputs["tokenizer"].id


def test_shrinking_keeps_the_shape_of_a_schedule():
    config = Optimization(optimizer=AdamW(kind="adamw"), epochs=100, warmup_epochs=20, global_batch=512, base_lr=0.1)
    small = Shrink(epochs=0.25, batch=16, lr=4.0).apply(config, "fp32")
    assert (small.epochs, small.warmup_epochs, small.global_batch) == (25, 5.0, 32)
    assert small.lr == pytest.approx(config.lr / 16 * 4.0)
    assert Shrink(epochs=0.001, batch=10_000, lr=1.0).apply(config, "fp32").global_batch == 1


@pytest.mark.parametrize("name", ["nano", "lab"])
def test_two_crops_and_two_mixing_groups_stay_two_jobs(name):
    scale, probe, tuned = SCALES[name], linear_probe(), finetune()
    crops = [scale.apply(probe.replace(crop_scale_min=least)).crop_scale_min for least in (0.08, 0.2, 0.4, 1.0)]
    assert crops == sorted(set(crops)) and crops[-1] == 1.0
    groups = [scale.apply(tuned.replace(mixing=tuned.mixing.replace(group=size))).mixing.group for size in (64, 128)]
    assert groups[0] < groups[1]


SETTINGS = {
    "randaugment": ("rand-m9-mstd0.5-inc1", "rand-m9-mstd0.5-inc1-p0.25", "rand-m5-mstd0.5-inc1", "rand-m9-n3"),
    "random_erasing": (0.0, 0.1, 0.25, 1.0),
    "flip": (0.0, 0.25, 0.5, 1.0),
    "layer_decay": (0.65, 0.75, 1.0),
}


@pytest.mark.parametrize("name", ["nano", "lab"])
def test_two_settings_of_fine_tuning_stay_two_jobs(name):
    """Milder, but no two alike that differ at paper scale."""
    scale, tuned = SCALES[name], finetune()
    for field, values in SETTINGS.items():
        found = [scale.apply(tuned.replace(**{field: value})) for value in values]
        assert len({make_job(config, encoder=make_job(scale.apply(cae()))).id for config in found}) == len(values), (
            field
        )
    for field in ("mixup", "cutmix"):
        mixings = [tuned.mixing.replace(**{field: alpha}) for alpha in (0.0, 0.4, 0.8, 1.0)]
        assert len({getattr(scale.apply(tuned.replace(mixing=mixing)).mixing, field) for mixing in mixings}) == 4


def test_an_operation_of_randaugment_is_as_often_as_asked():
    """The notation is timm's: it reads back what was written."""
    assert rarer("rand-m9-mstd0.5-inc1", 1.0) == "rand-m9-mstd0.5-inc1"
    for notation, factor, probability in (
        ("rand-m9-mstd0.5-inc1", 0.1, 0.05),
        ("rand-p0.25-m9", 0.1, 0.025),
        ("rand-m9-p1.0", 1e-7, 1e-7),  # no exponent: its dash would part the notation
    ):
        ops = rand_augment_transform(rarer(notation, factor), {}).ops
        assert [op.prob for op in ops] == pytest.approx([probability] * 15, rel=1e-6)
        assert {op.magnitude for op in ops} == {9}


def test_the_notes_say_what_fine_tuning_lost():
    schedule = Shrink(epochs=1.0, batch=1, lr=1.0)
    assert str(FinetuneRule(schedule)) == "" and finetune().scale_note(SCALES["paper"]) == ""
    found = str(FinetuneRule(schedule, augmentation=0.1, mixing=0.01, depth=3.0))
    for figure in ("0.1 times as often", "0.01 times as large", "power of 3"):
        assert figure in found
