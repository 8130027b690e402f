"""Every family's layout: auto-detected from content, every key accounted for, the tokens those of its network."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

from caebench.checkpoints import load_encoder
from caebench.specs.families import BY_NAME
from caebench.specs.variants import Variant
from tests.unit.checkpoints.layouts import beit, hugging_face, mae_positions, make, maskfeat, plain, without_key_biases
from tests.unit.checkpoints.layouts_of_today import cae_v2

GOLDEN = Path(__file__).parents[2] / "golden" / "encoders"
IMAGES = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(5))
TIGHT = {"rtol": 0, "atol": 1e-5}


def save(content, tmp_path, name="x.pth"):
    path = tmp_path / name
    save_file(content, path) if name.endswith("safetensors") else torch.save(content, path)
    return path


def beit_like(**options):
    options = {"positions": "none", "relative_position_bias": "shared", "init": "truncated_normal", **options}
    return without_key_biases(make(**options))


def with_mae_positions(encoder):
    encoder.pos_embed.copy_(mae_positions(encoder.grid, encoder.variant.dim))
    return encoder


HEAD = {"head.weight": torch.ones(10, 48), "head.bias": torch.ones(10)}
MASK = {"mask_token": torch.ones(1, 1, 48)}
LEARNT = {"positions": "learnt", "layer_scale": None}
FILES = {  # family -> (named, encoder, content)
    "data2vec": lambda: (e := beit_like(), {"model": {**beit(e), **MASK, "lm_head.weight": torch.ones(48, 48)}}),
    "beit, bias a block": lambda: (e := beit_like(relative_position_bias="block"), {"model": {**beit(e), **HEAD}}),
    "beit, bare": lambda: (e := beit_like(), {**beit(e), **MASK, "lm_head.weight": torch.ones(64, 48)}),
    "maskfeat": lambda: (e := make(**LEARNT), maskfeat(e)),
    "timm, no head": lambda: (e := make(**LEARNT), plain(e)),
    "timm, head": lambda: (e := make(**LEARNT), {**plain(e), **HEAD}),
    "timm, layer scale": lambda: (e := make(positions="learnt"), plain(e)),
    "hf": lambda: (e := make(**LEARNT), {**hugging_face(e), "classifier.weight": torch.ones(10, 48)}),
    "hf, bare": lambda: (e := make(**LEARNT), hugging_face(e, "")),
    "hf, beit": lambda: (e := beit_like(), hugging_face(e, "beit.")),
    "hf, beit, bias a block": lambda: (e := beit_like(relative_position_bias="block"), hugging_face(e, "beit.")),
    "deit, III": lambda: (
        e := make(positions="learnt"),
        {"model": {**plain(e, 0.0, "gamma"), **HEAD, "pos_embed": e.pos_embed}},
    ),
    "mae, full": lambda: (
        e := with_mae_positions(make(layer_scale=None)),
        {
            "model": {
                **plain(e, 0.0),
                **MASK,
                "decoder_embed.weight": torch.ones(2, 2),
                "decoder_pred.bias": MASK["mask_token"],
            }
        },
    ),
    "moco_v3, converted": lambda: (e := make(layer_scale=None), {"model": plain(e, 0.0)}),
    "ibot, full": lambda: (
        e := make(**LEARNT),
        {
            "teacher": {f"backbone.{n}": t for n, t in plain(e).items()} | {"head.last_layer2.weight_g": torch.ones(1)},
            "student": {f"module.backbone.{n}": t + 1 for n, t in plain(e).items()},
            "ibot_loss": {"center": torch.ones(1)},
        },
    ),
    "dino, backbone": lambda: (e := make(**LEARNT), plain(e)),
    "cae, released": lambda: (
        e := without_key_biases(make()),
        {"model": {f"encoder.{n}": t for n, t in beit(e).items()} | MASK},
    ),
    "cae, lxtGH": lambda: (
        e := without_key_biases(make()),
        {
            "model": {f"encoder.{n}": t for n, t in beit(e).items()}
            | {f"teacher.{n}": t + 1 for n, t in beit(e).items()}
            | {"pretext_neck.norm.weight": torch.ones(48), "encoder_to_decoder.weight": torch.ones(2, 48), **MASK}
        },
    ),
}
SUFFIX = {"timm": ".safetensors", "hf": ".safetensors"}


@pytest.mark.parametrize("kind", FILES)
def test_a_layout_is_auto_detected_and_gives_the_same_tokens(kind, tmp_path):
    encoder, content = FILES[kind]()
    family = kind.split(",")[0]
    loaded = load_encoder(save(content, tmp_path, "x" + SUFFIX.get(family, ".pth")), num_heads=3)
    assert loaded.report.family == family
    if family == "hf":
        assert loaded.norm_eps == 1e-12
        loaded = with_eps(loaded, 1e-6)
    torch.testing.assert_close(loaded(IMAGES), encoder(IMAGES), **TIGHT)
    assert loaded.relative_position_bias == encoder.relative_position_bias
    assert loaded.positions == encoder.positions


def with_eps(encoder, eps):
    for module in encoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = eps
    return encoder


@pytest.mark.parametrize("family", ["peco", "splitmask"])
def test_a_family_that_content_cannot_tell_is_read_when_it_is_named(family, tmp_path):
    encoder = beit_like()
    path = save({"model": {**beit(encoder), **MASK}}, tmp_path)
    assert load_encoder(path, num_heads=3).report.family == "beit"
    loaded = load_encoder(path, num_heads=3, family=family)
    assert loaded.report.family == family
    torch.testing.assert_close(loaded(IMAGES), encoder(IMAGES), **TIGHT)


def timm_vit(**options):
    sizes = {"img_size": 96, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 3}
    return VisionTransformer(**sizes, **{"num_classes": 7, **options})


def timm_beit(**options):
    sizes = {"img_size": 96, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 7}
    return Beit(**sizes, **{"global_pool": "token", **options})


MODELS = {
    "vit": lambda: timm_vit(),
    "vit, layer scale": lambda: timm_vit(init_values=0.1),
    "vit, no class position": lambda: timm_vit(no_embed_class=True),
    "vit, no head": lambda: timm_vit(num_classes=0),
    "beit, shared": lambda: timm_beit(use_abs_pos_emb=False, use_shared_rel_pos_bias=True, init_values=0.1),
    "beit, bias a block": lambda: timm_beit(use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=0.1),
    "beit, positions too": lambda: timm_beit(use_rel_pos_bias=True),
}


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
@pytest.mark.parametrize("kind", MODELS)
def test_timms_own_models_give_their_own_tokens(kind, name, tmp_path):
    torch.manual_seed(1)
    model = MODELS[kind]().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(0.0, 0.2)
    loaded = load_encoder(save(model.state_dict(), tmp_path, name), num_heads=3, family="timm")
    torch.testing.assert_close(loaded(IMAGES), model.forward_features(IMAGES), rtol=1e-5, atol=2e-5)


QUICK = ("mae, full", "hf, beit")  # each key of the others is left out in the slow part
SOME = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FILES]


@pytest.mark.parametrize("kind", SOME)
def test_a_missing_or_unexpected_key_is_an_error(kind, tmp_path):
    _, content = FILES[kind]()
    family = kind.split(",")[0]
    chosen = next(
        (content[name] for name in ("teacher", "model", "state_dict", "model_state") if name in content), content
    )
    report = load_encoder(save(content, tmp_path), num_heads=3, family=family).report
    for name in [name for name in report.mapped if "blocks.1" in name or "layer.1" in name or "blocks" not in name]:
        value = chosen.pop(name)
        with pytest.raises(ValueError, match=r"x\.pth"):
            load_encoder(save(content, tmp_path), num_heads=3, family=family)
        chosen[name] = value
    for extra in ("blocks.1.attn.q_norm.weight", "reg_token", "encoder.blocks.0.more", "blocks.2.norm1.weight"):
        chosen[extra] = torch.ones(48)
        path = save(content, tmp_path)
        with pytest.raises(ValueError, match=r"x\.pth"):
            load_encoder(path, num_heads=3, family=family)
        del chosen[extra]


def test_the_report_says_what_was_mapped_what_is_unused_and_why(tmp_path):
    report = load_encoder(GOLDEN / "cae.pth", num_heads=3).report
    assert report.mapped["encoder.blocks.0.gamma_1"] == "blocks.0.ls1.gamma"
    assert "target of alignment" in report.unused_keys["alignment_encoder.norm.weight"]
    assert report.unused_keys["args/"] == "training options"
    assert report.variant == Variant(48, 2, 3, 16) and report.image_size == 96
    file = torch.load(GOLDEN / "cae.pth", weights_only=False)["model"]
    assert file.keys() == report.mapped.keys() | {name for name in report.unused_keys if not name.endswith("/")}
    assert "2 blocks, 3 heads" in str(report) and "unused: a copy of the encoder" in str(report)


@pytest.mark.parametrize("wrong", [name for name in BY_NAME if name != "caebench"])
@pytest.mark.parametrize("family", ["beit", "cae", "deit", "dino", "ibot", "mae", "moco_v3", "simmim"])
def test_a_file_is_not_read_as_another_family(family, wrong):
    """But for families that share a layout, key by key: those that content cannot tell apart."""
    alike = {"beit": {"peco", "splitmask"}, "simmim": {"splitmask"}}
    plain_names = {"deit", "dino", "ibot", "mae", "moco_v3"}
    if wrong == family or wrong in alike.get(family, ()) or (wrong == "timm" and family in plain_names):
        return
    with pytest.raises(ValueError, match=r"Give another file or family|no|unexpected|missing|names are neither"):
        load_encoder(GOLDEN / f"{family}.pth", num_heads=3, family=wrong)


def test_a_wrong_family_is_told_what_the_file_looks_like():
    with pytest.raises(ValueError, match=r"not a file of BEiT\. It looks like MAE \(family 'mae'\)"):
        load_encoder(GOLDEN / "mae.pth", num_heads=3, family="beit")
    with pytest.raises(ValueError, match=r"family 'mea': unknown\. Did you mean 'mae'"):
        load_encoder(GOLDEN / "mae.pth", num_heads=3, family="mea")


def test_a_network_of_another_kind_is_no_familys(tmp_path):
    path = save({"model": {"layer1.0.conv1.weight": torch.ones(4, 3, 3, 3), "fc.weight": torch.ones(2, 2)}}, tmp_path)
    with pytest.raises(ValueError, match=r"no family fits.*layer1\.0\.conv1\.weight.*Known: "):
        load_encoder(path)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"fc_norm.weight": torch.ones(48)}, "mean pooling"),
        ({"dist_token": torch.ones(1, 1, 48), "head_dist.bias": torch.ones(2)}, "distilled DeiT"),
    ],
)
def test_files_of_fine_tuning_and_distillation_say_why_they_are_refused(tmp_path, extra, said):
    path = save({"model": {**plain(make(**LEARNT)), **HEAD, **extra}}, tmp_path)
    with pytest.raises(ValueError, match=said):
        load_encoder(path, num_heads=3)


WIDTHS = [(family, dim, heads) for family, row in BY_NAME.items() for dim, heads in row.heads.items() if dim < 512]


@pytest.mark.parametrize(("family", "dim", "heads"), WIDTHS)
def test_family_and_width_determine_the_heads(family, dim, heads, tmp_path):
    loaded = load_encoder(save(released(family, dim, heads), tmp_path), family=family)
    assert loaded.variant.num_heads == heads


def released(family, dim, heads):
    """A file of a family at a width, with one block."""
    variant, bias = Variant(dim, 1, heads, 16), {"positions": "none", "relative_position_bias": "block"}
    match family:
        case "cae":
            return {"model": {f"encoder.{n}": t for n, t in beit(make(variant, 32)).items()}}
        case "beit" | "splitmask":
            return {"model": beit(make(variant, 32, **bias))}
        case "moco_v3":
            return {
                "state_dict": {
                    f"module.base_encoder.{n}": t for n, t in plain(make(variant, 32, layer_scale=None)).items()
                }
            }
        case "hf":
            return hugging_face(make(variant, 32, **LEARNT))
        case "dinov2":
            return {**plain(make(variant, 32, positions="learnt")), "mask_token": torch.ones(1, dim)}
        case "ijepa":
            encoder = with_mae_positions(make(variant, 32, layer_scale=None))
            state = {**plain(encoder, 0.0), "pos_embed": encoder.pos_embed}
            return {"target_encoder": {name: tensor for name, tensor in state.items() if name != "cls_token"}}
        case "cae_v2":
            return cae_v2(beit(make(variant, 32)), dim)
        case "deit":
            return {"model": plain(make(variant, 32, **LEARNT)) | {"head.weight": torch.ones(2, dim)}}
        case "mmpretrain":
            return mmpretrain(plain(make(variant, 32, **LEARNT)))
        case _:
            return plain(make(variant, 32, **LEARNT))


def mmpretrain(state):
    changes = [
        ("patch_embed.proj", "patch_embed.projection"),
        ("mlp.fc1", "ffn.layers.0.0"),
        ("mlp.fc2", "ffn.layers.1"),
    ]
    changes += [("norm1", "ln1"), ("norm2", "ln2"), ("blocks", "layers")]
    renamed = {}
    for name, tensor in state.items():
        for old, new in changes:
            name = name.replace(old, new)
        renamed["backbone." + (f"ln1.{name[5:]}" if name.startswith("norm.") else name)] = tensor
    return {"state_dict": renamed}


@pytest.mark.parametrize("heads", [0, 5, 7, 96])
def test_a_number_of_heads_that_cannot_be_is_refused(heads):
    with pytest.raises(ValueError, match="num_heads"):
        load_encoder(GOLDEN / "mae.pth", num_heads=heads)


def test_a_bias_for_another_number_of_heads_is_refused():
    with pytest.raises(ValueError, match=r"not the 3 heads of its bias"):
        load_encoder(GOLDEN / "beit.pth", num_heads=6)


def test_heads_other_than_the_familys_are_refused(tmp_path):
    path = save(released("moco_v3", 384, 12), tmp_path)
    with pytest.raises(
        ValueError, match=r"num_heads 6, and MoCo v3 has 12 at width 384\. Leave --num-heads out, or name"
    ):
        load_encoder(path, num_heads=6)
    load_encoder(path, num_heads=12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32_and_are_reported(tmp_path, dtype):
    encoder = make(**LEARNT)
    path = save({name: tensor.to(dtype) for name, tensor in plain(encoder).items()}, tmp_path)
    loaded = load_encoder(path, num_heads=3)
    assert loaded.report.precision == (str(dtype).removeprefix("torch."),)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@pytest.mark.parametrize("size", [(512, 512), (672, 1092)])
@pytest.mark.parametrize("positions", ["sincos", "learnt"])
def test_positions_follow_the_images_on_both_sides(tmp_path, positions, size):
    """Bicubic: the rows by the rows' share, the columns by the columns'."""
    encoder = make(layer_scale=None, positions=positions)
    loaded = load_encoder(save(plain(encoder, 0.0), tmp_path), num_heads=3, family="timm")
    grid = size[0] // 16, size[1] // 16
    images = torch.rand(1, 3, *size)
    tokens = loaded(images)
    assert tokens.shape == (1, 1 + grid[0] * grid[1], 48)
    square = encoder.pos_embed.transpose(1, 2).unflatten(2, (6, 6))
    resized = F.interpolate(square, grid, mode="bicubic", antialias=True)
    own = make(layer_scale=None, positions="learnt")
    own.load_state_dict(encoder.state_dict())
    own.pos_embed, own.grid_of = torch.nn.Parameter(resized.flatten(2).mT), lambda images: (own.grid, own.grid)
    torch.testing.assert_close(tokens, own(images), rtol=1e-4, atol=1e-4)


def test_a_bias_in_another_order_is_refused(tmp_path):
    content = {"model": {**beit(beit_like()), **MASK}}
    content["model"]["rel_pos_bias.relative_position_index"][0, 0] = 0
    with pytest.raises(ValueError, match="another order"):
        load_encoder(save(content, tmp_path), num_heads=3)


def test_positions_of_no_square_grid_are_refused(tmp_path):
    state = plain(make(**LEARNT))
    state["pos_embed"] = torch.ones(1, 1 + 24, 48)[:, :24]
    with pytest.raises(ValueError, match="no square grid"):
        load_encoder(save(state, tmp_path), num_heads=3)


def test_loading_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_encoder(GOLDEN / "beit.pth", num_heads=3)
    assert torch.equal(torch.rand(1), expected)


def test_our_own_file_is_read_too(tmp_path):
    from caebench.checkpoints.encoder_file import save_encoder

    encoder = beit_like()
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    loaded = load_encoder(tmp_path / "encoder.safetensors").requires_grad_(False)  # another kernel otherwise
    assert loaded.report.family == "caebench"
    torch.testing.assert_close(loaded(IMAGES), encoder(IMAGES), rtol=0, atol=0)
