"""CAE's parts and its two losses, in every form that the ablations use."""

import pytest
import torch

from caebench.methods.cae import CAEMethod, CAEModel, diagnostics
from caebench.methods.masked import normalize_patches, patchify
from caebench.methods.method import rankme
from caebench.specs.methods.cae import CAE, cae
from caebench.specs.targets import DALLETarget, PixelTarget
from caebench.specs.variants import Variant

VARIANT = Variant(32, 2, 4, 4)
CODES = DALLETarget(kind="dalle", vocabulary=11)
PIXELS = PixelTarget(kind="pixels")
FORMS = {
    "plain": {},
    "pixels": {"target": PIXELS},
    "joint": {"regressor_attention": "joint"},
    "linear decoder": {"decoder_depth": 0},
    "contrastive": {"align_loss": "contrastive"},
    "narrow": {"latent_dim": 16, "latent_num_heads": 2},
    "narrow and joint": {"latent_dim": 16, "latent_num_heads": 2, "regressor_attention": "joint"},
    "no alignment": {"align_weight": 0.0},
    "large": {"init": "truncated_normal", "layer_scale": 1e-5, "latent_layer_scale": 1e-5},
    "shallow": {"regressor_depth": 1, "decoder_depth": 1},
}


def make_model(**changes):
    torch.manual_seed(0)
    config = CAE(kind="cae", **{"target": CODES, "regressor_depth": 2, "decoder_depth": 2, "drop_path": 0.3, **changes})
    return CAEModel(config, VARIANT, 16)


@pytest.fixture
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def masked():
    return torch.rand(3, 16, generator=torch.Generator().manual_seed(1)).argsort(dim=1) < 8


def targets(model, images, masked):
    if isinstance(model.config.target, PixelTarget):
        method = CAEMethod(cae("nano_b", target="pixels"))
        method.model = model
        return method.targets({"image": images, "masked": masked})
    return torch.randint(0, 11, (int(masked.sum()),), generator=torch.Generator().manual_seed(2))


def compute(model, images, masked, drop_path_uniforms=None):
    return model.losses(images, masked, targets(model, images, masked), drop_path_uniforms)


def random_uniforms(model, batch=3):
    return torch.rand(batch, model.num_drop_path_uniforms, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_every_parameter(form, images, masked):
    """DDP needs that too: a parameter without a gradient would stop a run on several GPUs."""
    model = make_model(**FORMS[form])
    losses = compute(model, images, masked, random_uniforms(model))
    losses["total"].backward()
    assert losses["total"].isfinite()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    width = model.config.latent_dim or VARIANT.dim
    assert losses["predicted"].shape == losses["target"].shape == (3, 8, width)
    assert diagnostics(losses, targets(model, images, masked))["alignment_cosine"].abs() <= 1.0


@pytest.mark.parametrize("form", ["plain", "narrow", "contrastive", "joint"])
def test_no_gradient_flows_through_the_alignment_target(form, images, masked):
    """The masked pixels enter through the target alone: they get none."""
    model = make_model(**FORMS[form])
    images.requires_grad_()
    losses = compute(model, images, masked, random_uniforms(model))
    assert not losses["target"].requires_grad
    losses["total"].backward()
    on_patches = patchify(images.grad, 4).abs().sum(-1)
    assert (on_patches[masked] == 0).all() and (on_patches[~masked] > 0).all()


def test_the_regressor_never_sees_the_masked_patches(images, masked):
    """Other pixels in them change the alignment target, and nothing else."""
    model, other = make_model(), images.clone()
    hidden = masked.reshape(3, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other[hidden.expand_as(other)] += 1.0
    codes = targets(model, images, masked)
    one, two = (model.losses(x, masked, codes) for x in (images, other))
    for name in ("encoded", "predicted", "logits", "reconstruction"):
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=0)
    assert not torch.allclose(one["target"], two["target"], atol=1e-3)


def test_weights_weigh_the_losses(images, masked):
    plain = compute(make_model(), images, masked)
    torch.testing.assert_close(plain["total"], plain["reconstruction"] + 2.0 * plain["alignment"])
    unaligned = compute(make_model(align_weight=0.0), images, masked)
    torch.testing.assert_close(unaligned["total"], plain["reconstruction"])
    blind = compute(make_model(reconstruction_weight=0.0), images, masked)
    torch.testing.assert_close(blind["total"], 2.0 * plain["alignment"])


def test_a_samples_losses_ignore_the_batch_around_it(images, masked):
    model = make_model()
    drop_path_uniforms = random_uniforms(model)
    together = compute(model, images, masked, drop_path_uniforms)
    codes = targets(model, images, masked).reshape(3, 8)
    for n in range(3):
        alone = model.losses(images[n : n + 1], masked[n : n + 1], codes[n], drop_path_uniforms[n : n + 1])
        for name in ("encoded", "predicted", "target"):
            torch.testing.assert_close(alone[name][0], together[name][n], rtol=1e-5, atol=1e-5)


def test_every_uniform_is_used_once(images, masked):
    """Flipping one number of one sample from kept to dropped changes something, and only for that sample."""
    model = make_model(drop_path=0.99)
    drop_path_uniforms = torch.ones(3, model.num_drop_path_uniforms)
    codes = targets(model, images, masked)
    before = model.losses(images, masked, codes, drop_path_uniforms)
    silent = []
    for number in range(model.num_drop_path_uniforms):
        changed = drop_path_uniforms.clone()
        changed[1, number] = 0.0
        after = model.losses(images, masked, codes, changed)
        logits = [(x["logits"].reshape(3, 8, -1), x["target"]) for x in (before, after)]
        same = [[torch.equal(a[n], b[n]) for a, b in zip(*logits, strict=True)] for n in range(3)]
        assert same[0] == same[2] == [True, True]
        if same[1] == [True, True]:
            silent.append(number)
    first_blocks = [0, 1, 4, 5, 8, 9, 12, 13]  # rates rise from 0: the first block of each stack drops nothing
    assert silent == first_blocks


def test_the_target_keeps_its_branches_where_the_recipe_says_so(images, masked):
    model = make_model(target_drop_path=False, drop_path=0.9)
    drop_path_uniforms = torch.zeros(3, model.num_drop_path_uniforms)
    codes = targets(model, images, masked)
    dropped, clean = model.losses(images, masked, codes, drop_path_uniforms), model.losses(images, masked, codes)
    torch.testing.assert_close(dropped["target"], clean["target"], rtol=0, atol=0)
    assert not torch.allclose(dropped["encoded"], clean["encoded"], atol=1e-3)


def test_the_contrastive_loss_wants_each_patch_at_its_own_place(images):
    model = make_model(align_loss="contrastive")
    target = torch.randn(3, 8, 32, generator=torch.Generator().manual_seed(4))
    right, wrong = model._alignment_loss(target, target), model._alignment_loss(target.roll(1, dims=1), target)
    assert right < 0.1 < wrong
    torch.testing.assert_close(model._alignment_loss(5.0 * target, target), right)


def test_patches_are_cut_row_by_row(images):
    patches = patchify(images, 4)
    torch.testing.assert_close(patches[1, 6], images[1, :, 4:8, 8:12].permute(1, 2, 0).flatten(), rtol=0, atol=0)
    normal = normalize_patches(patches)
    torch.testing.assert_close(normal.mean(-1), torch.zeros(3, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.std(-1), torch.ones(3, 16), atol=1e-3, rtol=0)
    assert normalize_patches(torch.ones(1, 1, 48)).isfinite().all()


def test_rankme_counts_directions():
    """One for a collapsed batch, about the number of directions otherwise, and no error when a run has diverged."""
    assert rankme(torch.ones(16, 8)) == pytest.approx(1.0, abs=0.01)
    assert rankme(torch.eye(8)) == pytest.approx(8.0, abs=0.01)
    assert rankme(torch.full((4, 8), float("nan"))).ndim == 0
