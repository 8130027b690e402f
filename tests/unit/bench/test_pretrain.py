"""Our step and the plain reference: the same losses, the same arithmetic; and what each switch puts in its place."""

import json
import statistics

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from caebench.bench import ablate
from caebench.bench.ablate import OPTIMISATIONS, TRIED, Switch, bench_ablate, patched
from caebench.bench.pretrain import bench_pretrain, build
from caebench.bench.reference import PlainStep
from caebench.bench.step import STAGES
from caebench.models.vit import Encoder


@pytest.fixture
def both(settings, device):
    ours, batch = build(settings, device)
    plain = PlainStep(ours.method.model, settings.config.optimization, device, half=False)
    return ours, plain, batch


def weights(ours):
    return torch.cat([p.detach().flatten() for p in ours.parameters])


def test_losses_are_identical_step_by_step(both):
    ours, plain, batch = both
    for _ in range(6):
        torch.testing.assert_close(float(ours(batch)), plain(batch, ours.method.tokenizer), rtol=1e-5, atol=0)


def test_both_do_the_same_arithmetic(both, settings):
    """And as much as the plan counts, for all but the patch embedding, whose input takes no gradient."""
    ours, plain, batch = both
    counts = []
    for step in (lambda: ours(batch), lambda: plain(batch, ours.method.tokenizer)):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            step()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1]
    assert counts[0] / settings.batch == pytest.approx(settings.flops, rel=0.03)


def test_ours_has_one_encoder_and_the_reference_two(both):
    ours, plain, _ = both
    assert sum(isinstance(part, Encoder) for part in ours.method.modules()) == 1
    assert [name for name, _ in plain.model.named_children()].count("alignment_encoder") == 1
    shared = zip(plain.model.encoder.parameters(), plain.model.alignment_encoder.parameters(), strict=True)
    plain.model.copy_encoder()
    assert all(torch.equal(one, two) for one, two in shared)


def test_the_stages_of_a_step_sum_to_the_step(both, device):
    from caebench.bench.timing import interleave

    ours, _, batch = both
    sums = []
    times = interleave({"split": lambda: sums.append(sum(ours.split(batch).values()))}, device, warm_up=2, repeats=5)
    assert set(ours.split(batch)) == set(STAGES)
    shares = [parts / whole for whole, parts in zip(times["split"].rounds, sums[2:], strict=True)]
    assert statistics.median(shares) == pytest.approx(1.0, rel=0.1), "the median: another program may stop one turn"


def test_splitting_changes_no_weight(settings, device):
    one, batch = build(settings, device)
    two, _ = build(settings, device)
    one(batch), two.split(batch)
    assert torch.equal(weights(one), weights(two))
    assert two.method.targets(batch).shape == (4 * 18,)  # the method has its own again


def test_the_document_holds_what_the_table_shows(settings, device):
    from caebench.cli.show_bench import ablate_rows, pretrain_rows

    found = json.loads(json.dumps(bench_pretrain(settings, device)))
    assert found["losses"]["largest_relative_difference"] < 1e-4
    assert found["encoders"] == {"ours": 1, "reference": 2}
    assert {"seconds", "images_per_second", "time_ratio", "share_of_peak", "memory", "stages"} <= found.keys()
    assert {len(row) for row in pretrain_rows(found)} == {3}
    ablated = bench_ablate(settings._replace(repeats=1), device)
    assert {len(row) for row in ablate_rows(ablated)} == {4}
    assert ablated["over_ours"].keys() == (OPTIMISATIONS.keys() | TRIED.keys()) - {"bf16", "compiled blocks"}


@pytest.mark.parametrize("name", [*OPTIMISATIONS, *TRIED])
def test_no_switch_changes_a_loss(name, settings, device):
    """Each is the same step written otherwise: so what it costs is what the optimisation brings."""
    switch = {**OPTIMISATIONS, **TRIED}[name]
    plain, batch = build(settings, device)
    with patched(switch.patches):
        other, _ = build(switch.settings(settings), device)
        theirs = [float(other(batch)) for _ in range(4)]
    torch.testing.assert_close(theirs, [float(plain(batch)) for _ in range(4)], rtol=1e-5, atol=1e-6)


def test_a_switch_acts_and_ends(settings, device):
    """What a switch puts in place is called, and gone afterwards."""
    called = []
    before = ablate.F.scaled_dot_product_attention

    def attend(*arguments, **options):
        called.append(1)
        return before(*arguments, **options)

    step = ablate._stepper(Switch("", ((ablate.F, "scaled_dot_product_attention", attend),)), settings, device)
    step()
    num_encoder, num_latent = 2 * 3, 2 + 1
    assert len(called) == num_encoder + num_latent
    build(settings, device)[0](build(settings, device)[1])
    assert len(called) == num_encoder + num_latent and ablate.F.scaled_dot_product_attention is before


@pytest.mark.parametrize("tokenizer", ["dalle", "dvae"])
def test_a_tokenizer_of_random_weights_gives_the_codes(tokenizer, settings, device, monkeypatch):
    from caebench.bench import step
    from caebench.models.tokenizer import DALLEEncoder
    from caebench.specs.methods.cae import cae
    from caebench.specs.targets import DVAETarget

    monkeypatch.setattr(step, "DALLEEncoder", lambda vocabulary: DALLEEncoder(vocabulary, width=8))
    if tokenizer == "dvae":
        sizes = cae("vit_s", target="dvae").method.target.tokenizer.replace(vocabulary=16, codebook_dim=8, hidden_dim=8)
        method = settings.config.method.replace(target=DVAETarget(kind="dvae", tokenizer=sizes))
        settings = settings._replace(config=settings.config.replace(method=method))
    left_out = settings.flops
    settings = settings._replace(tokenizer=tokenizer)
    assert settings.flops > left_out
    found = bench_pretrain(settings._replace(repeats=1), device)
    assert found["losses"]["largest_relative_difference"] < 1e-4
    assert found["stages"]["seconds"]["tokenizer"] > 0
