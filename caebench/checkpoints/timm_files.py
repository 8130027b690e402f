"""Weights for timm's own networks, `timm:NAME`: read without executing code in them, and given to the network strictly.

timm's own reader of other projects' layouts (`checkpoint_filter_fn`) maps their names. Nothing is fetched.
"""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from caebench.checkpoints.encoder_file import FileTimmEncoder, misfits, save_encoder
from caebench.checkpoints.mapping import unwrap
from caebench.checkpoints.reading import read
from caebench.checkpoints.tensors import fault_of, not_finite, precision, type_fault_of
from caebench.files.atomic import write_json
from caebench.files.hashing import sha256_of
from caebench.files.layout import ENCODER, MAPPING
from caebench.models.timm_encoder import filtered, known_model, make_network, where_published
from caebench.specs.pixel_stats import SourcedStats, make_stats, name_of, parse_stats, settle

FAMILY = "timm"


class OpenedTimm(NamedTuple):
    """timm's network with a file's weights, and the record of an import."""

    encoder: FileTimmEncoder
    record: dict[str, Any]


def open_timm(name: str, path: Path | None, pixel_stats: str | None = None) -> OpenedTimm:
    """The network of that name with the weights in a file.

    Raises:
        ValueError: timm has no such network, there is no file, or a tensor is missing, unexpected, of another shape or
            not finite; or `pixel_stats` disagrees with timm.
    """
    known_model(name)
    if path is None or not path.exists():
        asked = f"timm:{name}: no file of weights was given" if path is None else f"{path}: no such file"
        raise ValueError(
            f"{asked}. timm says that they are published at {where_published(name)}. Nothing is fetched here: get the "
            f"file, then caebench ckpt import timm:{name} FILE."
        )
    content = read(path)
    table = unwrap(content)
    for key, tensor in table.tensors.items():
        if fault := fault_of(tensor) or (type_fault_of(tensor) if tensor.is_floating_point() else None):
            raise ValueError(f"{path}: '{key}' {fault}")
    if bad := not_finite(table.tensors):
        raise ValueError(f"{path}: '{next(iter(bad))}' has NaN or Inf. Get the file again.")
    encoder = FileTimmEncoder(name)
    state = _fit(name, table.tensors, path)
    ours = {key: key if encoder.has_tokens and key.startswith("norm.") else f"network.{key}" for key in state}
    encoder.load_state_dict({ours[key]: _plain(tensor) for key, tensor in state.items()})
    pixels = settle([_stats(encoder)], pixel_stats, str(path))
    assert pixels is not None, "timm says them of every network"
    encoder.pixel_stats = parse_stats(pixels.stats)
    left = {key: "a classifier, or not of timm's network" for key in table.tensors if key not in state}
    record = {
        "source": str(path.absolute()),
        "sha256": sha256_of(path),
        "family": FAMILY,
        "model": name,
        "entry": table.entry,
        "precision": list(precision(table.tensors)),
        "pixel_stats": pixels.stats,
        "pixel_source": pixels.source,
        "unused_keys": {**left, **{f"{entry}/": why for entry, why in table.others.items()}},
        "notes": ["the names are those that timm's own reader gives the file's tensors"],
        "mapped": ours,
    }
    return OpenedTimm(encoder.eval(), record)


def _fit(name: str, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The file's tensors under the network's names, each of its shape.

    Raises:
        ValueError: one is missing, unexpected or of another shape, or timm cannot read the layout.
    """
    network = make_network(name)
    try:
        state = filtered(tensors, network)
    except Exception as error:  # timm's readers expect the layouts that they know, and fail in any way on others
        raise ValueError(f"{path}: timm cannot read it as {name}: {error!r}. Give weights of this model.") from error
    expected = network.state_dict()
    if wrong := misfits(expected, state):
        listed = "; ".join(wrong[:5])
        raise ValueError(f"{path}: no weights of timm:{name}: {len(wrong)} tensors do not fit: {listed}.")
    return {key: tensor for key, tensor in state.items() if key in expected}


def _plain(tensor: Tensor) -> Tensor:
    """In float32; counts of batches as they are."""
    return tensor.float() if tensor.is_floating_point() else tensor


def _stats(encoder: FileTimmEncoder) -> SourcedStats:
    config: Any = encoder.network.pretrained_cfg
    return SourcedStats(name_of(make_stats(config["mean"], config["std"])), f"timm's config of {encoder.name}")


def leave_timm(opened: OpenedTimm, folder: Path) -> None:
    """Write the network, and the record of its tensors, into a job's folder."""
    save_encoder(opened.encoder, folder / ENCODER)
    write_json(folder / MAPPING, opened.record)
