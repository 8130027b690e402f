"""Scales: paper changes nothing, the others shrink without merging."""

import pytest
from helpers import NEEDED

from caebench.config.data import EmbeddedData
from caebench.config.method import DVAETarget
from caebench.config.optim import AdamW, Optimization
from caebench.plan.graph import make_job
from caebench.plan.scale import SCALES, Shrink
from caebench.recipes import EVALUATIONS, SOURCES
from caebench.recipes.cae import cae
from caebench.recipes.finetune import finetune
from caebench.recipes.probes import linear_probe

RECIPES = {**SOURCES, **EVALUATIONS}
SMALL = [name for name in SCALES if name != "paper"]


@pytest.mark.parametrize("name", RECIPES)
def test_paper_is_the_identity(name):
    config = RECIPES[name](variant="vit_l", **NEEDED.get(name, {}))
    assert SCALES["paper"].apply(config) is config


@pytest.mark.parametrize("scale", SMALL)
@pytest.mark.parametrize("name", RECIPES)
def test_small_scales_leave_no_real_data_behind(scale, name):
    config = SCALES[scale].apply(RECIPES[name](variant="vit_b", **NEEDED.get(name, {})))
    assert not hasattr(config, "data") or isinstance(config.data, EmbeddedData)
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


@pytest.mark.parametrize("scale", SMALL)
def test_the_tokenizer_gives_one_code_a_patch(scale):
    from caebench.config.variants import VARIANTS

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
