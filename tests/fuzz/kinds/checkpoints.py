"""Encoder files: archives of torch, old pickles, safetensors, the configs next to them; and pickles that would act."""

import io
import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from tests.fuzz.case import Case, Content
from tests.fuzz.damage import damaged, no_file
from tests.fuzz.kinds.base import Files
from tests.fuzz.values import changed, json_text, text, value

MARKER = "executed"  # a file in the working folder, if anything in a pickle acts
FILES = ("new.pth", "old.pth", "model.safetensors")
CONFIG = {"model_type": "vit", "hidden_size": 24, "num_attention_heads": 3, "image_size": 16, "layer_norm_eps": 1e-6}
PIXELS = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "do_normalize": True}
VERBS = (
    *(("ckpt", "inspect", "{}"), ("ckpt", "inspect", "{}"), ("ckpt", "inspect", "{}", "--json")),
    *(("ckpt", "inspect", "{}", "--num-heads", "3", "--pixel-stats", "imagenet"),),
    *(("ckpt", "inspect", "{}", "--family", family, "--num-heads", "3") for family in ("mae", "cae", "hf")),
    *(("ckpt", "import", "{}", "--num-heads", "3", "--pixel-stats", "imagenet", "--store", "../store"),),
)
CALLS = (  # module, name, arguments as pickled text
    *(("os", "system"), ("posix", "system"), ("subprocess", "Popen"), ("subprocess", "check_output")),
    *(
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "eval"),
        ("builtins", "open"),
        ("builtins", "getattr"),
    ),
    *(
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.jit", "load"),
        ("runpy", "run_path"),
        ("importlib", "import_module"),
    ),
    *(("shutil", "rmtree"), ("pathlib", "Path.touch"), ("numpy", "load"), ("webbrowser", "open"), ("pip", "main")),
    *(
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "Tensor"),
        ("collections", "OrderedDict"),
        ("argparse", "Namespace"),
    ),
    *(("numpy.core.multiarray", "_reconstruct"), ("_codecs", "encode"), ("torch.storage", "_load_from_bytes")),
    *(
        ("torch\x1b[31m", "x"),
        ("os", "system\x1b[2J"),
        ("typing", "Any"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
    ),
)
CODES = (  # instructions of pickles, alone or with too large numbers
    *(
        b"\x80\x05",
        b"\x95" + b"\xff" * 8,
        b"\x8e" + b"\xff" * 7 + b"\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"B\xff\xff\xff\x7f",
    ),
    *(b"X\xff\xff\xff\x7f", b"\x8d" + b"\xff" * 8, b"j\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f", b"2" * 200, b"0", b"1"),
    *(
        b"(" * 5000,
        b"]" * 5000,
        b"}" * 1000,
        b"]" + b"2a" * 60,
        b"P\x1b[31m\n",
        b"Q",
        b"\x97",
        b"\x98",
        b"\x82\x01",
        b"\x93",
    ),
    *(
        b"I99999999999999999999\n",
        b"L1\x00L\n",
        b"F1e999\n",
        b"S'\x1b[2J'\n",
        b"V\\u202e\n",
        b"\x8a\xff" + b"\xff" * 255,
    ),
)


class Checkpoints:
    """Encoder files from strangers."""

    name = "checkpoints"
    needs_torch = True

    def base(self, scratch: Path) -> Files:
        import torch
        from safetensors.torch import save

        state = _state()
        files = {"data/model.safetensors": save(state, {"format": "pt"}), "data/pickle.pkl": _pickled(state)}
        torch.save({"model": state, "epoch": 3}, scratch / "new.pth")
        files |= {"data/new.pth": (scratch / "new.pth").read_bytes(), "data/old.pth": _old(state)}
        return {**files, "data/config.json": json.dumps(CONFIG).encode()}

    def case(self, rng: Random, base: Files) -> Case:
        make = rng.choice([_bytes, _bytes, _entries, _entries, _header, _acting, _acting, _archive])
        name, content = make(rng, base)
        files: dict[str, Content] = {f"work/{name}": content}
        if rng.random() < 0.1:
            name = "model.safetensors"
            tree = changed(rng, {**CONFIG, **PIXELS, "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
            config = rng.choice(["config.json", "preprocessor_config.json"])
            files = {f"work/{name}": base[f"data/{name}"], f"work/{config}": json_text(rng, tree)}
        return Case(self.name, tuple(word.format(name) for word in rng.choice(VERBS)), files)


def _state() -> dict[str, Any]:
    """A small MAE encoder, the same every time."""
    from caebench.specs.variants import Variant
    from tests.unit.checkpoints.layouts import make, plain

    return dict(plain(make(Variant(24, 1, 3, 4), image_size=16, seed=1, positions="learnt")))


def _old(state: Mapping[str, Any]) -> bytes:
    """A file of torch's old format; the address that it names its one storage by is always the same."""
    import torch

    flat, file, at, views = torch.cat([one.flatten() for one in state.values()]), io.BytesIO(), 0, {}
    for name, one in state.items():
        views[name] = flat[at : at + one.numel()].view(one.shape)
        at += one.numel()
    torch.save({"model": views, "epoch": 3}, file, _use_new_zipfile_serialization=False)
    address = str(flat.untyped_storage()._cdata).encode()
    return file.getvalue().replace(_short(address), _short(b"94000000000000"))


def _short(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


def _pickled(state: Mapping[str, Any]) -> bytes:
    """A pickle of plain values, as some projects keep their weights."""
    return pickle.dumps({name: tensor.numpy() for name, tensor in list(state.items())[:3]}, 2)


def _bytes(rng: Random, base: Files) -> tuple[str, Content]:
    """Damaged bytes; or what is no file."""
    name = rng.choice([*FILES, "pickle.pkl"])
    content = base[f"data/{name}"]
    if rng.random() < 0.06:
        return "x.pth", no_file(rng)
    if rng.random() < 0.5:  # names and sizes are at the beginning
        return name, damaged(rng, content[:2000], list(base.values())) + content[2000:]
    return name, damaged(rng, content, list(base.values()))


def _entries(rng: Random, base: Files) -> tuple[str, Content]:
    """Tensors of other names, types and shapes, and values that are no tensors."""
    import torch

    state: dict[Any, Any] = dict(torch.load(io.BytesIO(base["data/new.pth"]), weights_only=True)["model"])
    for _ in range(rng.choice([1, 1, 2, 4])):
        _change_entry(rng, state)
    content = rng.choice(
        [state, {"model": state, "args": value(rng)}, {"state_dict": {f"{text(rng)}{k}": v for k, v in state.items()}}]
    )
    file = io.BytesIO()
    torch.save(rng.choice([content, content, OrderedDict(content), [content]]), file)
    return "x.pth", file.getvalue()


def _change_entry(rng: Random, state: dict[Any, Any]) -> None:
    import torch

    if not state:
        return
    name = rng.choice(list(state))
    old, action = state[name], rng.randrange(8)
    if action == 0 or not isinstance(old, torch.Tensor) or old.is_sparse or old.is_quantized:
        state[name] = value(rng)
    elif action == 1:
        state[text(rng)] = state.pop(name)
    elif action == 2:
        del state[name]
    elif action == 3:
        kinds = (
            torch.float16,
            torch.bfloat16,
            torch.int8,
            torch.bool,
            torch.float64,
            torch.complex64,
            torch.float8_e4m3fn,
        )
        state[name] = old.to(rng.choice(kinds))
    elif action == 4:
        shapes = (
            (),
            (0,),
            (1,),
            (0, 24),
            (24, 0),
            (1, 1, 1, 1, 1),
            (3, 7),
            (1, 17, 24),
            (72, 24),
            (2**31,),
            (10**6, 10**6),
        )
        state[name] = (
            torch.zeros((), dtype=old.dtype).expand(rng.choice(shapes)) if rng.random() < 0.5 else old.reshape(-1)[:1]
        )
    elif action == 5:
        state[name] = torch.full_like(old, rng.choice([float("nan"), float("inf"), 0.0, 1e30]), dtype=torch.float32)
    elif action == 6:
        state[rng.choice([0, None, ("a",), b"x", 1.5, f"module.{name}", f"blocks.99.{name}", f"blocks.1.{name}"])] = old
    else:
        state[name] = rng.choice(
            [
                old.to_sparse() if old.dim() else old,
                torch.quantize_per_tensor(old.float(), 0.1, 0, torch.qint8),
                old.mT if old.dim() > 1 else old,
            ]
        )


def _header(rng: Random, base: Files) -> tuple[str, Content]:
    """A safetensors file whose table says something else."""
    content = base["data/model.safetensors"]
    (length,) = struct.unpack_from("<Q", content)
    table, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    made = json_text(rng, changed(rng, table, rng.choice([1, 1, 2])))
    stated = len(made) if rng.random() < 0.85 else rng.choice([0, 1, 2**31, 2**63, 2**64 - 1, len(made) + 8])
    return "model.safetensors", struct.pack("<Q", stated) + made + data


def _call(rng: Random) -> bytes:
    """A pickle that would call something, or holds instructions that no writer leaves."""
    module, name = rng.choice(CALLS)
    target = f"c{module}\n{name}\n".encode()
    if rng.random() < 0.3:
        target = (
            b"\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93"
        )
    command = f"touch {MARKER}" if "system" in name else f"__import__('os').system('touch {MARKER}')"
    argument = b"X" + struct.pack("<I", len(command)) + command.encode()
    acts = (
        b"(" + argument + b"tR",
        b"(" + argument + b"o",
        argument + b"\x85R",
        b")\x81" + argument + b"b",
        b")R}b",
        b"",
    )
    made = target + rng.choice(acts)
    if rng.random() < 0.2:
        made = (
            f"i{module}\n{name}\n".encode() if rng.random() < 0.5 else b"(" + argument + f"i{module}\n{name}\n".encode()
        )
    if rng.random() < 0.5:
        at = rng.choice([0, len(made)])
        made = made[:at] + rng.choice(CODES) + made[at:]
    return made


def _acting(rng: Random, base: Files) -> tuple[str, Content]:
    """Such a pickle alone, in a table, in an archive, or in an old file of torch."""
    made = _call(rng)
    inner = rng.choice(
        [
            made + b".",
            b"}X\x01\x00\x00\x00a" + made + b"s.",
            b"}X\x05\x00\x00\x00model}X\x01\x00\x00\x00a" + made + b"ss.",
        ]
    )
    made = rng.choice([b"\x80\x02", b"\x80\x02", b"", b"\x80\x04", b"\x80\x06"]) + inner
    how = rng.randrange(4)
    if how == 0:
        return "x.pth", made
    if how == 1:
        old = base["data/old.pth"]
        return "x.pth", old[: old.index(b"}q") - 2] + made  # after torch's magic number and its version
    return "x.pth", zipped(
        {"archive/data.pkl": made, "archive/version": b"3\n", "archive/data/0": bytes(400)}, ZIP_STORED
    )


def _archive(rng: Random, base: Files) -> tuple[str, Content]:
    """torch's archive with entries that are changed, added, or named otherwise."""
    with ZipFile(io.BytesIO(base["data/new.pth"])) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(rng.choice([1, 1, 2])):
        name, action = rng.choice([*entries, next(iter(entries))]), rng.randrange(6)
        if action == 0:
            entries[name] = damaged(rng, entries[name], list(entries.values()))
        elif action == 1:
            entries[rng.choice(["../x", "/etc/x", "archive/x", "x\x1b[31m", "new/constants.pkl", text(rng)])] = entries[
                name
            ]
        elif action == 2 and len(entries) > 1:
            del entries[name]
        elif action == 3:
            entries[name] = bytes(rng.choice([0, 1, 10**6]))
        elif action == 4:
            pickled = next(one for one in entries if one.endswith("data.pkl"))
            entries[pickled] = damaged(rng, entries[pickled], [entries[pickled], _call(rng)])
        else:
            entries[f"{name}{rng.choice(['', '0', '.npy'])}"] = entries[name][::-1]
    return "new.pth", zipped(entries, rng.choice([ZIP_STORED, ZIP_STORED, ZIP_DEFLATED]))


def zipped(entries: Mapping[str, bytes], compression: int) -> bytes:
    """An archive."""
    file = io.BytesIO()
    with ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("\x00", "") or "x", content)
    return file.getvalue()
