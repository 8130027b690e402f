"""Optimizers, groups and the schedule."""

import pytest
import torch
from torch import nn

from caebench.models.heads import FinetuneHead
from caebench.models.vit import Encoder
from caebench.specs.architecture import Architecture
from caebench.specs.optim import LARS, SGD, AdamW, Optimization
from caebench.specs.registry import EVALUATIONS, SOURCES
from caebench.specs.variants import Variant
from caebench.tasks.finetune import Classifier, layer_groups
from caebench.training.optim import encoder_groups, learning_rate, make_optimizer, set_learning_rate, split_decay


def make_config(optimizer, **changes):
    numbers = {"epochs": 10, "warmup_epochs": 2, "global_batch": 512, "base_lr": 0.05, **changes}
    return Optimization(optimizer=optimizer, **numbers)


def test_lars_trusts_matrices_and_leaves_vectors_alone():
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
        layer.bias.fill_(7.0)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    config = make_config(LARS(kind="lars", momentum=0.0, trust_coefficient=0.01))
    optimizer = make_optimizer(config, split_decay(layer))
    set_learning_rate(optimizer, 0.5)
    layer.weight.grad, layer.bias.grad = torch.full((3, 4), 2.0), torch.full((3,), 2.0)
    optimizer.step()
    ratio = 0.01 * before["weight"].norm() / torch.full((3, 4), 2.0).norm()
    torch.testing.assert_close(layer.weight.detach(), before["weight"] - 0.5 * ratio * 2.0)
    torch.testing.assert_close(layer.bias.detach(), before["bias"] - 0.5 * 2.0)


@pytest.mark.parametrize(
    "optimizer", [AdamW(kind="adamw", weight_decay=0.5), SGD(kind="sgd", weight_decay=0.5)], ids=str
)
def test_only_matrices_decay(optimizer):
    layer = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    made = make_optimizer(make_config(optimizer), split_decay(layer))
    set_learning_rate(made, 0.1)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    moved = {name for name, p in layer.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"0.weight"}


def test_the_schedule_meets_its_endpoints():
    config = make_config(AdamW(kind="adamw"), min_lr=0.001)
    rates = [learning_rate(config, step, 20) for step in range(200)]
    assert config.lr == 0.1
    assert rates[0] == 0.0 and rates[39] == rates[40] == pytest.approx(0.1)
    assert rates[:40] == sorted(rates[:40]) and rates[40:] == sorted(rates[40:], reverse=True)
    assert rates[120] == pytest.approx((0.1 + 0.001) / 2)
    assert 0.001 < rates[-1] < 0.0011


def test_the_warm_up_ends_at_the_peak_or_a_step_before_it():
    """`np.linspace(0, peak, steps)` in BEiT's and CAE's code; step / warm-up in that of MAE and MoCo v3."""
    config = make_config(SGD(kind="sgd"), warmup_epochs=2.0)  # of four steps each
    at_peak = [learning_rate(config, step, 4) / config.lr for step in range(9)]
    before = [learning_rate(config.replace(warmup_end="before_peak"), step, 4) / config.lr for step in range(9)]
    assert at_peak[:8] == pytest.approx([step / 7 for step in range(8)])
    assert before[:8] == pytest.approx([step / 8 for step in range(8)])
    assert at_peak[8] == before[8] == 1.0


def test_each_recipe_warms_up_as_its_official_code():
    recipes = {**SOURCES, **EVALUATIONS}
    found = {
        name: recipes[name]().optimization.warmup_end
        for name in ("cae", "beit", "deit", "dino", "ibot", "attentive_probe", "finetune", "mae", "moco_v3")
    }
    early = {name for name, end in found.items() if end == "before_peak"}
    assert early == {"mae", "moco_v3"}
    assert {recipes[name]().optimization.warmup_end for name in ("linear_probe", "linear_probe_grid")} == {
        "before_peak"
    }


def test_a_warm_up_of_a_part_of_a_step_ends_where_it_says():
    config = make_config(SGD(kind="sgd"), warmup_epochs=0.6, warmup_end="before_peak")  # 2.4 steps
    rates = [learning_rate(config, step, 4) / config.lr for step in range(4)]
    assert rates[:3] == pytest.approx([0.0, 1 / 2.4, 2 / 2.4])
    assert 0.99 < rates[3] < 1.0


@pytest.mark.parametrize("warmup", [0, 0.01, 1])
def test_a_schedule_of_a_few_steps_is_sane(warmup):
    config = make_config(AdamW(kind="adamw"), epochs=1, warmup_epochs=warmup)
    rates = [learning_rate(config, step, 2) for step in range(2)]
    assert all(0.0 <= rate <= config.lr for rate in rates) and max(rates) == pytest.approx(config.lr)


@pytest.fixture
def classifier():
    encoder = Encoder(Variant(16, 3, 2, 4), 8, relative_position_bias="block")
    return Classifier(encoder, FinetuneHead(16, 5, 0.001))


def test_layer_groups_hold_every_parameter_once(classifier):
    grouped = [id(p) for group in layer_groups(classifier, 0.5) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in classifier.parameters() if p.requires_grad)


def test_layers_learn_slower_the_deeper_they_lie(classifier):
    scales = {id(p): group["lr_scale"] for group in layer_groups(classifier, 0.5) for p in group["params"]}
    by_name = {name: scales[id(p)] for name, p in classifier.named_parameters()}
    expected = {"head": 1.0, "encoder.blocks.2": 0.5, "encoder.blocks.1": 0.25, "encoder.blocks.0": 0.125}
    expected |= {f"encoder.relative_position_biases.{n}": 0.5 ** (3 - n) for n in range(3)}
    expected |= {"encoder.patch_embed": 0.0625, "encoder.cls_token": 0.0625}
    assert by_name == {name: scale for name in by_name for prefix, scale in expected.items() if name.startswith(prefix)}


def test_the_rate_of_a_group_is_scaled(classifier):
    optimizer = make_optimizer(make_config(AdamW(kind="adamw")), layer_groups(classifier, 0.5))
    set_learning_rate(optimizer, 0.2)
    assert {group["lr"] for group in optimizer.param_groups} == {0.2, 0.1, 0.05, 0.025, 0.0125}
    undecayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] == 0.0 for p in group["params"]}
    flat = {id(p) for name, p in classifier.named_parameters() if p.ndim <= 1 or name.endswith("cls_token")}
    assert flat <= undecayed


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(num_registers=2, gated=True, mlp_dim=24),
        Architecture(class_token=False, activation="gelu_tanh"),
        Architecture(norm_before_blocks=True, patch_bias=False, qkv_bias=False, activation="quick_gelu"),
    ],
)
def test_every_parameter_of_an_encoder_that_is_no_plain_vit_is_in_one_group(architecture):
    encoder = Encoder(Variant(16, 2, 2, 8), 16, positions="learnt", architecture=architecture)
    grouped = [id(parameter) for group in encoder_groups(encoder, 0.5) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in encoder.parameters())
