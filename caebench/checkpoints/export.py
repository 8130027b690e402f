"""Our encoder in the layouts of other projects, with enough metadata in the file for a lossless re-import.

What a layout cannot express (heads, the epsilon of norms, pixels) is stored in a note that other programs ignore. The
pixel statistics are also written where the other program reads them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file

from caebench.checkpoints.encoder_file import known_stats, read_encoder
from caebench.checkpoints.entries import RECORD
from caebench.checkpoints.export_names import State, to_hf, to_mmpretrain, to_official_cae, to_timm
from caebench.checkpoints.hub_configs import (
    hf_config,
    hf_preprocessor,
    mm_preprocessor,
    timm_config,
    timm_config_path,
)
from caebench.files.atomic import replacing, write_json
from caebench.models.timm_encoder import TimmEncoder
from caebench.models.vit import Encoder
from caebench.specs.architecture import describe
from caebench.specs.did_you_mean import suggest
from caebench.specs.pixel_stats import PixelStats, name_of


class Export(NamedTuple):
    """The content of an export."""

    encoder: Encoder
    state: State  # under the names of the layout
    stats: PixelStats | None  # None: unknown
    note: str


def export_file(source: Path, to: str, output: Path | None) -> tuple[Path, list[str]]:
    """Write a job's encoder file in another layout; returns the path, and remarks.

    Raises:
        ValueError: there is no such layout, or the output exists.
    """
    if to not in LAYOUTS:
        raise ValueError(f"--to '{to}': unknown.{suggest(to, LAYOUTS)} Known: {', '.join(LAYOUTS)}.")
    path = output or Path(f"{source.parent.name}-{to}{LAYOUTS[to].suffix}")
    return path, export(read_encoder(source), to, path)


def export(encoder: Encoder, to: str, path: Path) -> list[str]:
    """Write the encoder for timm, MMPretrain, the official CAE code or Hugging Face; returns remarks.

    For Hugging Face the path is a folder for `from_pretrained`; timm's config is next to its file.

    Raises:
        ValueError: the path exists, or the encoder is no plain ViT.
    """
    if isinstance(encoder, TimmEncoder):
        raise ValueError(f"--to {to}: the encoder is timm's own network {encoder.name}: its file is what was imported.")
    if differs := describe(encoder.architecture):
        raise ValueError(f"--to {to}: it has no place for {differs}. Use the job's own encoder.safetensors.")
    layout, stats = LAYOUTS[to], known_stats(encoder)
    configs = layout.configs(path, encoder, stats)
    for written in (path, *configs):
        if written.exists():
            raise ValueError(f"{written}: already exists. Remove it, or give another --output.")
    path.parent.mkdir(parents=True, exist_ok=True)
    state, notes = layout.names(encoder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with replacing(path) as partial:
        layout.write(Export(encoder, state, stats, make_note(encoder, to, stats)), partial)
        for config, content in configs.items():
            write_json(config, content)
    return [*notes, *([f"pixels are {name_of(stats)}: {layout.say_pixels(path, stats)}"] if stats else [])]


def make_note(encoder: Encoder, to: str, stats: PixelStats | None) -> str:
    """What no layout can express, for `ckpt import`."""
    facts = {
        "layout": to,
        "variant": list(encoder.variant),
        "norm_eps": encoder.norm_eps,
        "relative_position_bias": encoder.relative_position_bias,
        "pixel_stats": name_of(stats) if stats else None,
    }
    return json.dumps(facts)


def _write_safetensors(given: Export, path: Path) -> None:
    save_file(given.state, path, metadata={"format": "pt", RECORD: given.note})


def _write_hf(given: Export, folder: Path) -> None:
    folder.mkdir()
    _write_safetensors(given, folder / "model.safetensors")
    write_json(folder / "config.json", hf_config(given.encoder))
    if given.stats is not None:
        write_json(folder / "preprocessor_config.json", hf_preprocessor(given.encoder, given.stats))


def _write_mmpretrain(given: Export, path: Path) -> None:
    meta = {"data_preprocessor": mm_preprocessor(given.stats)} if given.stats else {}
    torch.save({"meta": meta, "state_dict": given.state, RECORD: given.note}, path)


def _write_official_cae(given: Export, path: Path) -> None:
    torch.save({"model": given.state, RECORD: given.note}, path)


def _no_configs(path: Path, encoder: Encoder, stats: PixelStats | None) -> dict[Path, dict[str, Any]]:
    return {}


def _timm_configs(path: Path, encoder: Encoder, stats: PixelStats | None) -> dict[Path, dict[str, Any]]:
    return {timm_config_path(path): timm_config(encoder, stats)}


def _say_official_cae(path: Path, stats: PixelStats) -> str:
    flag = "--imagenet_default_mean_and_std"
    how = {"imagenet": f"evaluate it with {flag}", "inception": f"evaluate it without {flag}"}
    return how.get(name_of(stats), "the official evaluations have no option for them")


@dataclass(frozen=True)
class Layout:
    """The layout of another program's encoder file."""

    suffix: str  # of the file that is written without --output
    names: Callable[[Encoder], tuple[State, list[str]]]  # its tensors, and remarks on them
    write: Callable[[Export, Path], None]
    say_pixels: Callable[[Path, PixelStats], str]  # where the pixel statistics were written, or how to set them
    configs: Callable[[Path, Encoder, PixelStats | None], dict[Path, dict[str, Any]]] = _no_configs  # JSON files


LAYOUTS: Mapping[str, Layout] = {
    "timm": Layout(
        ".safetensors",
        to_timm,
        _write_safetensors,
        lambda path, stats: f"in {timm_config_path(path).name}, timm's config",
        _timm_configs,
    ),
    "mmpretrain": Layout(
        ".pth",
        to_mmpretrain,
        _write_mmpretrain,
        lambda path, stats: f"write data_preprocessor = {mm_preprocessor(stats)} in the config",
    ),
    "official-cae": Layout(".pth", to_official_cae, _write_official_cae, _say_official_cae),
    "hf": Layout("", to_hf, _write_hf, lambda path, stats: "in preprocessor_config.json"),
}
