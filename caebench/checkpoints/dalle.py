"""DALL-E's published encoder: a pickled module, read without executing any code in it.

The pickle names classes of the `dall_e` package and of torch. None of them is imported: the unpickler may only create
tensors, plain containers and empty stand-ins for the classes listed here. Any other name is an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from caebench.checkpoints.reading import StandIn, read_pickle
from caebench.files.permissions import check_readable
from caebench.models.tokenizer import DALLEEncoder

URL = "https://cdn.openai.com/dall-e/encoder.pkl"
HINT = f"Get the encoder from {URL} and name the file in the site file, [assets] dalle_encoder."

STAND_INS = [
    "dall_e.encoder.Encoder",
    "dall_e.encoder.EncoderBlock",
    "dall_e.utils.Conv2d",
    "functools.partial",
    *(f"torch.nn.modules.{name}" for name in ("container.Sequential", "activation.ReLU", "pooling.MaxPool2d")),
    *(f"torch.nn.modules.{name}" for name in ("linear.Identity", "module.Module")),
]
NAMES = [  # published -> ours
    (r"^blocks\.input\.", "stem."),
    (r"^blocks\.output\.conv\.", "head."),
    (r"\bid_path\.", "shortcut."),
    (r"\.w$", ".weight"),
    (r"\.b$", ".bias"),
]
COUNTED = [
    (r"^blocks\.group_(\d)\.", "groups."),
    (r"\bblock_(\d)\.", ""),
    (r"\bres_path\.conv_(\d)\.", "convolutions."),
]


def read_dalle(path: Path | None) -> DALLEEncoder:
    """The encoder from the published pickle.

    Raises:
        ValueError: no file is named, it is missing, or it is not that encoder.
    """
    if path is None:
        raise ValueError(f"site file, [assets] dalle_encoder: not set, and this job's target is DALL-E's codes. {HINT}")
    if not path.exists():
        raise ValueError(f"site file, [assets] dalle_encoder = {path}: no such file. {HINT}")
    model = DALLEEncoder()
    try:
        model.load_state_dict(convert(path))
    except PermissionError:
        raise
    except Exception as error:  # pickle and torch raise their own types for damaged and foreign files
        raise ValueError(f"{path}: not DALL-E's encoder: {str(error)[:300]}. {HINT}") from error
    return model.eval()


def load_dalle(path: Path) -> DALLEEncoder:
    """The encoder from the file that the job `released` wrote.

    Raises:
        ValueError: the file is missing or damaged.
    """
    model = DALLEEncoder()
    check_readable(path)
    try:
        model.load_state_dict(load_file(path))
    except Exception as error:  # safetensors and torch raise their own types
        raise ValueError(f"{path}: damaged: {str(error)[:300]}. Delete its job's folder and run it again.") from error
    return model.eval()


def convert(path: Path) -> dict[str, Tensor]:
    """The weights of a published pickle under our names."""
    module = read_pickle(path, [(StandIn, name) for name in STAND_INS])
    return {rename(name): tensor.detach().clone().contiguous() for name, tensor in walk(module)}


def walk(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every parameter in a tree of stand-ins, by its dotted name."""
    for name, tensor in getattr(module, "_parameters", {}).items():
        if tensor is not None:
            yield prefix + name, tensor
    for name, child in getattr(module, "_modules", {}).items():
        yield from walk(child, f"{prefix}{name}.")


def rename(name: str) -> str:
    """Our name for a published one, where groups, blocks and convolutions are numbered from 1."""
    for pattern, ours in NAMES:
        name = re.sub(pattern, ours, name)
    for pattern, ours in COUNTED:
        name = re.sub(pattern, lambda found, ours=ours: f"{ours}{int(found[1]) - 1}.", name)
    return name
