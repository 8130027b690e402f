"""What CAE rests on: masked patches never reach the encoder, and a sample's numbers are its own."""

import pytest
import torch

from caebench.models.attention import RelativePositionBias, SampleDropPath
from caebench.models.vit import Encoder, Fill, gather, num_grid, sincos_positions
from caebench.specs.architecture import Architecture
from caebench.specs.variants import Variant

VARIANT = Variant(32, 3, 4, 4)
GRID = 4


@pytest.fixture
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def visible():
    order = torch.rand(3, GRID**2, generator=torch.Generator().manual_seed(1)).argsort(dim=1)
    return order < GRID**2 // 2


def make_encoder(**options):
    torch.manual_seed(0)
    return Encoder(VARIANT, 16, **options)


def poisoned(images, visible):
    """NaN in every pixel of the patches that are not visible."""
    masked = ~visible.reshape(-1, 1, GRID, GRID)
    return images.masked_fill(masked.repeat_interleave(4, 2).repeat_interleave(4, 3), float("nan"))


def test_masked_pixels_never_reach_the_encoder(images, visible):
    encoder = make_encoder()
    tokens = encoder(poisoned(images, visible), visible)
    assert tokens.shape == (3, 1 + GRID**2 // 2, 32)
    torch.testing.assert_close(tokens, encoder(images, visible), rtol=0, atol=0)
    assert encoder(poisoned(images, visible)).isnan().any(), "the poison works"


def test_visible_patches_keep_their_positions(images, visible):
    """Two images with the same pixels everywhere are told apart by which patches are visible."""
    encoder = make_encoder()
    plain = torch.ones_like(images[:1])
    assert not torch.allclose(encoder(plain, visible[:1]), encoder(plain, ~visible[:1]), atol=1e-3)


def test_all_patches_visible_is_the_default(images):
    encoder = make_encoder()
    everything = torch.ones(3, GRID**2, dtype=torch.bool)
    torch.testing.assert_close(encoder(images, everything), encoder(images))


def test_gather_keeps_the_order_of_patches(visible):
    numbers = torch.arange(GRID**2, dtype=torch.float32).expand(3, -1)[..., None]
    for row, chosen in zip(gather(numbers, visible)[..., 0], visible, strict=True):
        assert row.tolist() == chosen.nonzero()[:, 0].tolist()


def test_stochastic_depth_of_a_sample_ignores_the_batch_around_it(images):
    encoder = make_encoder(drop_path=0.6)
    drop_path_uniforms = torch.rand(3, encoder.num_drop_path_uniforms, generator=torch.Generator().manual_seed(2))
    together = encoder(images, drop_path_uniforms=drop_path_uniforms)
    for number in range(3):
        alone = encoder(images[number : number + 1], drop_path_uniforms=drop_path_uniforms[number : number + 1])
        torch.testing.assert_close(alone[0], together[number], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together, encoder(images, drop_path_uniforms=torch.ones_like(drop_path_uniforms)))


def test_uniforms_do_not_outlive_their_pass(images):
    """Evaluation after training: nothing is dropped, and no draws of another batch size are left over."""
    encoder = make_encoder(drop_path=0.6)
    clean = encoder(images[:2])
    encoder(images, drop_path_uniforms=torch.zeros(3, encoder.num_drop_path_uniforms))
    torch.testing.assert_close(encoder(images[:2]), clean, rtol=0, atol=0)


def test_a_dropped_branch_is_zero_and_a_kept_one_rescaled():
    layer = SampleDropPath(0.25)
    layer.set_uniforms(torch.tensor([0.1, 0.25, 0.9]))
    out = layer(torch.ones(3, 2, 2))
    torch.testing.assert_close(out[:, 0, 0], torch.tensor([0.0, 4 / 3, 4 / 3]))


def test_stochastic_depth_keeps_the_mean():
    layer = SampleDropPath(0.3)
    layer.set_uniforms(torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    assert layer(torch.ones(20_000, 1, 1)).mean() == pytest.approx(1.0, abs=0.02)


def test_positions_are_a_row_and_a_column_part():
    positions = sincos_positions(5, 24)[0].reshape(5, 5, 24)
    rows, columns = positions[..., :12], positions[..., 12:]
    assert (rows == rows[:, :1]).all() and (columns == columns[:1]).all()
    torch.testing.assert_close(rows[:, 0], columns[0], rtol=0, atol=0)
    assert len(positions.reshape(25, 24).unique(dim=0)) == 25
    torch.testing.assert_close(positions[0, 0, :12], torch.tensor([0.0] * 6 + [1.0] * 6))
    torch.testing.assert_close(positions[3, 0, 0], torch.tensor(3.0).sin())


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"width 30: .* multiple of 4"):
        sincos_positions(4, 30)
    with pytest.raises(ValueError, match="image_size 50 is not a multiple of the patch size 16"):
        num_grid(50, 16)


def test_a_new_relative_position_bias_changes_nothing(images):
    encoder, biased = make_encoder(), make_encoder(relative_position_bias="block")
    biased.load_state_dict(encoder.state_dict(), strict=False)
    torch.testing.assert_close(biased(images), encoder(images), rtol=1e-5, atol=1e-5)
    torch.nn.init.normal_(biased.relative_position_biases[1].table)
    assert not torch.allclose(biased(images), encoder(images), atol=1e-3)


def test_relative_positions_depend_on_the_offset_alone():
    grid = 3
    index = RelativePositionBias(grid, 2).index
    patches = index[1:, 1:]
    places = [(row, column) for row in range(grid) for column in range(grid)]
    by_offset = {}
    for a, (row, column) in enumerate(places):
        for b, (other_row, other_column) in enumerate(places):
            by_offset.setdefault((row - other_row, column - other_column), set()).add(int(patches[a, b]))
    assert all(len(found) == 1 for found in by_offset.values())
    assert len({min(found) for found in by_offset.values()}) == (2 * grid - 1) ** 2
    mirrored = patches + patches.T  # an offset and its opposite lie opposite in the table
    assert (mirrored == 2 * patches[0, 0]).all()
    with_class_token = {int(index[0, 0]), *index[0, 1:].tolist(), *index[1:, 0].tolist()}
    assert len(with_class_token) == 3 and with_class_token.isdisjoint(patches.flatten().tolist())


@pytest.mark.parametrize("init", ["xavier", "truncated_normal"])
def test_both_initialisations_give_tokens_of_a_sane_size(images, init):
    tokens = make_encoder(init=init)(images)
    assert tokens.isfinite().all() and 0.5 < tokens.std() < 2.0


@pytest.mark.parametrize("positions", ["sincos", "learnt", "none"])
def test_images_of_other_sizes_get_interpolated_positions(positions):
    encoder = make_encoder(positions=positions)
    wide = torch.rand(2, 3, 16, 32, generator=torch.Generator().manual_seed(1))
    tokens = encoder(wide)
    assert tokens.shape[1] == 1 + 2 * encoder.num_patches
    assert encoder.pos_embed.requires_grad == (positions == "learnt")
    ragged = torch.cat([wide, torch.ones(2, 3, 16, 1)], dim=3)  # a column that makes no patch
    torch.testing.assert_close(encoder(ragged), tokens, rtol=0, atol=0)


def test_a_mask_token_replaces_masked_patches(images):
    encoder = make_encoder(relative_position_bias="shared")
    masked = torch.zeros(len(images), encoder.num_patches, dtype=torch.bool)
    masked[:, ::2] = True
    token = torch.full((1, 1, VARIANT.dim), 0.3)
    blank = images.clone()
    patch = VARIANT.patch_size
    for number in range(0, encoder.num_patches, 2):
        row, column = divmod(number, encoder.grid)
        blank[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = 7.0
    filled = encoder(images, fill=Fill(masked, token))
    torch.testing.assert_close(encoder(blank, fill=Fill(masked, token)), filled, rtol=0, atol=0)
    assert not torch.allclose(filled, encoder(images), atol=1e-3)


def test_one_bias_is_shared_by_all_blocks(images):
    encoder = make_encoder(relative_position_bias="shared")
    assert len(encoder.relative_position_biases) == 1
    torch.nn.init.normal_(encoder.relative_position_biases[0].table)
    each = make_encoder(relative_position_bias="block")
    state = encoder.state_dict()
    table = state["relative_position_biases.0.table"]
    each.load_state_dict(state | {f"relative_position_biases.{n}.table": table for n in range(VARIANT.depth)})
    torch.testing.assert_close(each(images), encoder(images), rtol=0, atol=0)


# ---- blocks that run again in the backward pass ---------------------------------------------------------------------


def gradients(recomputed, images, bias="none"):
    """Of two training passes with different uniforms, and an evaluation before the backward pass; bytes kept."""
    encoder = make_encoder(drop_path=0.5, relative_position_bias=bias)
    for block in encoder.blocks:
        block.recomputed = recomputed
    kept = 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    drop_path_uniforms = torch.rand(
        2, len(images), encoder.num_drop_path_uniforms, generator=torch.Generator().manual_seed(2)
    )
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = sum(encoder(images, drop_path_uniforms=draw).square().mean() for draw in drop_path_uniforms)
    with torch.no_grad():
        encoder(images)
    loss.backward()
    return loss, [parameter.grad for parameter in encoder.parameters()], kept


@pytest.mark.parametrize("bias", ["none", "block", "shared"])
def test_a_block_that_runs_again_changes_no_gradient_and_keeps_less(images, bias):
    plain, again = gradients(False, images, bias), gradients(True, images, bias)
    assert torch.equal(plain[0], again[0])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(plain[1], again[1], strict=True))
    assert again[2] < plain[2] / 4


@pytest.mark.parametrize("architecture", [Architecture(num_registers=3), Architecture(class_token=False)])
def test_a_bias_knows_class_token_and_registers_from_patches(architecture):
    torch.manual_seed(0)
    encoder = Encoder(Variant(16, 1, 2, 8), 24, relative_position_bias="block", architecture=architecture)
    torch.nn.init.normal_(encoder.relative_position_biases[0].table)
    plain = Encoder(Variant(16, 1, 2, 8), 24, relative_position_bias="block")
    plain.relative_position_biases[0].load_state_dict(encoder.relative_position_biases[0].state_dict())
    first = encoder.num_prefix
    for grid in ((3, 3), (2, 4)):
        found, expected = encoder.bias(0, grid), plain.bias(0, grid)
        assert found.shape[-2:] == (first + grid[0] * grid[1],) * 2
        assert torch.equal(found[..., first:, first:], expected[..., 1:, 1:])
        for prefix in range(first):
            assert torch.equal(found[..., prefix, first:], expected[..., 0, 1:])
            assert torch.equal(found[..., first:, prefix], expected[..., 1:, 0])


def test_only_patches_are_chosen_and_the_prefix_is_always_seen():
    torch.manual_seed(0)
    encoder = Encoder(Variant(16, 1, 2, 8), 24, architecture=Architecture(num_registers=3))
    visible = torch.tensor([[0, 4], [8, 1]])
    assert encoder(torch.rand(2, 3, 24, 24), visible).shape == (2, 1 + 3 + 2, 16)
    without = Encoder(Variant(16, 1, 2, 8), 24, architecture=Architecture(class_token=False))
    assert without(torch.rand(2, 3, 24, 24)).shape == (2, 9, 16)
    assert {"cls_token", "registers"}.isdisjoint(without.state_dict())
