"""Files from strangers: what is read, what is refused, and that nothing in them runs."""

import argparse
import os
import pickle
import sys
from collections import OrderedDict, defaultdict
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from caebench.checkpoints import load_encoder
from caebench.checkpoints.reading import read
from caebench.files.hashing import sha256_of
from tests.unit.checkpoints.layouts import make, plain, write_archive


class Hostile:
    """What a pickle could do."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def state():
    return plain(make(positions="learnt"))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["args", "tensor", "all"])
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path, state, place, zipped):
    path, trace = tmp_path / "x.pth", tmp_path / "trace"
    hostile = Hostile(f"touch {trace}")
    content = {"args": {"model": state, "args": hostile}, "tensor": {**state, "norm.bias": hostile}, "all": hostile}
    torch.save(content[place], path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"refused: it calls `\w+\.system`"):
        load_encoder(path)
    assert not trace.exists()


def test_a_bare_pickle_is_refused_and_runs_nothing(tmp_path):
    path, trace = tmp_path / "x.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Hostile(f"touch {trace}")))
    with pytest.raises(ValueError, match=r"refused|cannot be read"):
        load_encoder(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "__import__"])
def test_no_builtin_function_is_called(tmp_path, name):
    path = tmp_path / "x.pth"
    path.write_bytes(b"\x80\x02c__builtin__\n" + name.encode() + b"\nX\x01\x00\x00\x001\x85R.")
    with pytest.raises(ValueError, match=r"refused|cannot be read"):
        read(path)


def test_what_released_files_have_apart_from_tensors_is_read(tmp_path, state, monkeypatch):
    path = tmp_path / "x.pth"
    with monkeypatch.context() as patch:
        config = make_yacs(patch)
        best = {"best": np.float64(83.6), "history": np.zeros(2), "last": np.int64(3)}
        counts = defaultdict(list, a=[1])
        args = argparse.Namespace(lr=1e-3, nested=argparse.Namespace(model="vit"))
        model = OrderedDict({f"module.{name}": tensor for name, tensor in state.items()})
        torch.save({"model": model, "config": config, "args": args, "counts": counts, **best}, path)
    encoder = load_encoder(path, num_heads=3)
    assert set(encoder.report.unused_keys) >= {"config/", "args/", "counts/", "best/", "history/"}


def make_yacs(patch):
    """SimMIM's `config`: an instance of a class that is not there when the file is read."""
    module = ModuleType("yacs.config")

    class CfgNode(dict):
        pass

    CfgNode.__module__, CfgNode.__qualname__, module.CfgNode = "yacs.config", "CfgNode", CfgNode
    patch.setitem(sys.modules, "yacs", ModuleType("yacs"))
    patch.setitem(sys.modules, "yacs.config", module)
    node = CfgNode(MODEL=CfgNode(TYPE="vit"))
    node.__dict__["__immutable__"] = True
    return node


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["pth", "legacy", "safetensors"])
def test_a_truncated_file_is_named(tmp_path, state, kind, share):
    path = tmp_path / "x"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "pth")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=str(path)):
        load_encoder(path, num_heads=3)


@pytest.mark.parametrize("content", [[1, 2], "text", {1: torch.zeros(1)}, {}, {"model": {}}, {"epoch": 3}])
def test_what_is_no_table_of_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth: (has|no entry)"):
        load_encoder(tmp_path / "x.pth")


@pytest.mark.parametrize("name", ["none.pth", "."])
def test_a_missing_file_or_a_folder_is_named(tmp_path, name):
    with pytest.raises(ValueError, match=r"no such file|a folder"):
        load_encoder(tmp_path / name)


def test_an_image_is_no_checkpoint(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_encoder(tmp_path / "x.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_named(tmp_path, state, value):
    state["blocks.1.mlp.fc1.weight"][3, 2] = value
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"'blocks\.1\.mlp\.fc1\.weight' has NaN or Inf"):
        load_encoder(tmp_path / "x.pth", num_heads=3)


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(tmp_path, state):
    state["blocks.0.mlp.fc1.weight"] = torch.zeros(1).expand(10**6, 10**6)
    torch.save(state, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").stat().st_size < 10**6
    with pytest.raises(ValueError, match="claims more numbers"):
        load_encoder(tmp_path / "x.pth", num_heads=3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.to_sparse(), "not a dense tensor"),
        (lambda t: t.to(torch.int32), "expected floating-point"),
        (lambda t: t[:-1], "expected"),
    ],
)
def test_tensors_of_other_kinds_are_refused(tmp_path, state, change, said):
    state["blocks.0.mlp.fc1.weight"] = change(state["blocks.0.mlp.fc1.weight"])
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=said):
        load_encoder(tmp_path / "x.pth", num_heads=3)


def test_the_hash_is_that_of_the_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_control_characters_in_names_are_visible_escapes(tmp_path, state):
    torch.save({**state, "\x1b[31mred\n": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"1 tensors do not fit: \\x1b\[31mred\\n: unexpected\.$"):
        load_encoder(tmp_path / "x.pth", num_heads=3, family="timm")
    torch.save({"\x07": 1}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"Entries: \\x07\. Give"):
        load_encoder(tmp_path / "x.pth")


def test_control_characters_in_a_name_that_is_refused_are_visible_escapes(tmp_path):
    path = write_archive(tmp_path / "x.pth", b"\x80\x02ca\x1b[31m\nb\rc\n.")
    with pytest.raises(ValueError, match=r"refused: it calls `a\\x1b\[31m\.b\\rc`, which"):
        load_encoder(path)


def test_another_pickle_protocol_says_how_to_save_the_file_again(tmp_path, state):
    torch.save(state, tmp_path / "x.pth", pickle_protocol=4)
    with pytest.raises(ValueError, match=r"has pickle instructions that `torch\.save` does not write\. Save it again"):
        load_encoder(tmp_path / "x.pth")


@pytest.mark.parametrize("fields", ['"variant": [1e400, 2, 3, 16]', '"variant": [48, 2, 3, 16], "pixel_stats": 5'])
def test_a_note_with_impossible_values_is_one_clear_line(tmp_path, state, fields):
    torch.save({"model": state, "caebench": f'{{"layout": "timm", {fields}}}'}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth: its note 'caebench' cannot be read: "):
        load_encoder(tmp_path / "x.pth")


def test_a_block_of_an_absurd_number_is_unexpected(tmp_path, state):
    torch.save({**state, f"blocks.{'9' * 500}.x": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth: read as .* 1 tensors do not fit: blocks\.9+\.x: unexpected"):
        load_encoder(tmp_path / "x.pth", num_heads=3)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_two_names_that_would_be_shown_alike_are_refused(tmp_path, name):
    state = {"a\x1b": torch.ones(2), r"a\x1b": torch.zeros(2)}
    save_file(state, tmp_path / name) if name.endswith("safetensors") else torch.save(state, tmp_path / name)
    with pytest.raises(ValueError, match="two names that differ by control characters alone"):
        read(tmp_path / name)


@pytest.mark.parametrize("names", [[f"a{n}" for n in range(20_001)], ["a" * 1_001]], ids=["too many", "too long"])
def test_more_or_longer_names_than_an_encoder_has_are_refused_at_once(tmp_path, names):
    tensors = {name: torch.zeros(0) for name in names}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save({"model": tensors}, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        with pytest.raises(ValueError, match=rf"{name}: has more than 20,000 names, or one of more than 1,000"):
            load_encoder(tmp_path / name)
