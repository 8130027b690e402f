"""Checks of an encoder file without a data set: whether it is complete, and whether its outputs are plausible.

Key coverage, pixels, finite values, and statistics of features on noise images. The checks on images of a data set are
a task, `tasks/verification.py`, since they use the evaluations' intervals.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from caebench.checkpoints.encoder_file import stats_of
from caebench.models.vit import Encoder
from caebench.specs.pixel_stats import name_of

COLLAPSED = 1e-5  # deviation between images or patches relative to the norm, below which all outputs are equal
FINITE = "finite values"


class Check(NamedTuple):
    """One check of a checkpoint, and its result."""

    what: str
    state: Literal["ok", "bad", "skipped"]
    found: str


def check_file(encoder: Encoder, record: Any) -> Iterator[Check]:
    """Every check that needs no images; `record` is that of an import. With NaN or Inf the features are not checked."""
    yield check_coverage(encoder, record)
    yield check_pixels(encoder, record)
    yield (finite := check_finite(encoder))
    if finite.state == "ok":
        yield check_features(encoder, noise(encoder))


def check_coverage(encoder: Encoder, record: Any) -> Check:
    """Whether every tensor of the encoder comes from the file, and every key of the file is accounted for."""
    what, names = "key coverage", set(encoder.state_dict())
    if record is None:
        return Check(what, "ok", f"trained here: all {len(names)} tensors of the network are in the file")
    is_timms = record.get("model") is not None  # with a network of timm's the names are timm's
    sources = {ours if is_timms else target(ours) for ours in record["mapped"].values()}
    names -= {"pos_embed"} if encoder.positions == "none" else set()
    if wrong := sorted(names ^ sources):
        return Check(what, "bad", f"{len(wrong)} tensors without a source or a target: {', '.join(wrong[:5])}")
    mapped, unused = len(record["mapped"]), len(record["unused_keys"])
    return Check(
        what, "ok", f"{mapped} keys are the encoder's {len(names)} tensors; {unused} unused keys have a reason"
    )


def check_pixels(encoder: Encoder, record: Any) -> Check:
    """The encoder file's pixel statistics and their source."""
    stats = name_of(stats_of(encoder))
    if record is None:
        return Check("pixels", "ok", f"{stats}: trained here")
    noted = record.get("pixel_stats", "imagenet")  # older imports have none
    if noted != stats:
        return Check("pixels", "bad", f"the encoder file says {stats}, but the import recorded {noted}")
    return Check("pixels", "ok", f"{stats}: {record.get('pixel_source', 'imported before they were recorded')}")


def target(ours: str) -> str:
    """The encoder's tensor that a mapped key is part of: queries, keys and values are one tensor there."""
    ours = re.sub(r"\.attn\.[qkv][._](weight|bias)$", r".attn.qkv.\1", ours)
    return ours.replace("shared_position_bias.table", "relative_position_biases.0.table")


def check_finite(encoder: Encoder) -> Check:
    """Whether there is no NaN and no Inf."""
    bad = [name for name, tensor in encoder.state_dict().items() if not torch.isfinite(tensor).all()]
    found = f"NaN or Inf in {', '.join(bad[:5])}" if bad else "no NaN, no Inf"
    return Check(FINITE, "bad" if bad else "ok", found)


def noise(encoder: Encoder) -> Float[Tensor, "8 3 height width"]:
    """Eight fixed smooth random images of the encoder's own size."""
    coarse = torch.randn(8, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (encoder.image_size,) * 2, mode="bicubic").to(encoder.device)


def check_features(encoder: Encoder, images: Float[Tensor, "batch 3 height width"]) -> Check:
    """Statistics of tokens; an encoder with the same output for all images or all patches is broken."""
    tokens = encoder(images).float()
    patches, size = encoder.patches(tokens), tokens.norm(dim=-1).mean()
    between_images = (patches.std(dim=0).norm(dim=-1).mean() / size).item()
    between_patches = (patches.std(dim=1).norm(dim=-1).mean() / size).item()
    found = (
        f"token norm {size:.3g}, deviation over dimensions {tokens.std(dim=-1).mean():.3g}; deviation, of the norm: "
        f"{between_images:.2g} between images, {between_patches:.2g} between patches"
    )
    broken = not torch.isfinite(tokens).all() or min(between_images, between_patches) < COLLAPSED
    return Check("features", "bad" if broken else "ok", found)
