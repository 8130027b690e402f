"""Harmless objects next to the weights: inert stand-ins, whether or not their classes are installed."""

import argparse
import datetime
import decimal
import pathlib
import sys
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from types import ModuleType

import numpy as np
import pytest
import torch

from caebench.checkpoints import harmless, load_encoder
from caebench.checkpoints.reading import Inert, read
from tests.unit.checkpoints.layouts import make, plain, write_archive

NAMES = [*harmless.OPTIONS, *harmless.DICTS, *harmless.LISTS, *harmless.INERT]
STANDARD = {
    "path": [pathlib.PosixPath("/a/b"), pathlib.PurePath("a"), pathlib.PureWindowsPath("C:/a")],
    "options": argparse.Namespace(out=pathlib.PurePosixPath("x"), inner=types.SimpleNamespace(lr=0.1)),
    "containers": [OrderedDict(a=1), defaultdict(list, a=[1]), Counter("aab"), deque([1, 2], 5), frozenset([1])],
    "numbers": [np.float64(1), np.int64(2), np.bool_(True), np.float32(3).dtype, np.zeros(2), decimal.Decimal("1.5")],
    "torch": [torch.Size([1, 2]), torch.float16, torch.device("cpu"), torch.__version__],
    "time": [datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), datetime.timedelta(1), datetime.date(2026, 1, 2)],
    "id": uuid.UUID(int=3),
    "range": [range(3), slice(1, 2)],
}


def fake(patch, path, base=object):
    """A class that is not installed, which does something when it is made or restored."""
    module, _, name = path.rpartition(".")
    made = type(name, (base,), {"__module__": module, "__setstate__": lambda self, state: pytest.fail("was called")})
    for end in range(len(module.split("."))):
        part = ".".join(module.split(".")[: end + 1])
        if part not in sys.modules:
            patch.setitem(sys.modules, part, ModuleType(part))
    patch.setattr(sys.modules[module], name, made, raising=False)
    return made


def fakes(patch):
    """What frameworks store: objects with a state, tables with attributes, enums."""
    config = fake(patch, "omegaconf.dictconfig.DictConfig")()
    node = fake(patch, "omegaconf.nodes.AnyNode")()
    node.__dict__.update(_metadata=fake(patch, "omegaconf.base.Metadata")(), _val="vit")
    config.__dict__.update(_content={"model": node}, _metadata=fake(patch, "omegaconf.base.ContainerMetadata")())
    parameters = fake(patch, "lightning.fabric.utilities.data.AttributeDict", dict)(lr=0.1, config=config)
    easy = fake(patch, "easydict.EasyDict", dict)
    scaler = fake(patch, "deepspeed.runtime.fp16.loss_scaler.LossScaler")()
    scaler.__dict__.update(cur_scale=1, dtype=torch.float16)
    items = fake(patch, "omegaconf.listconfig.ListConfig")()
    items.__dict__.update(_content=[node])
    return {"hyper_parameters": parameters, "easy": easy(a=easy(b=1)), "loss_scaler": scaler, "list": items}


def test_what_python_numpy_and_torch_store_next_to_the_weights_is_read(tmp_path):
    state = plain(make(positions="learnt"))
    torch.save({"model": state, **STANDARD}, tmp_path / "x.pth")
    assert set(load_encoder(tmp_path / "x.pth", num_heads=3).report.unused_keys) == {f"{name}/" for name in STANDARD}


@pytest.mark.parametrize("installed", [True, False])
def test_what_frameworks_store_is_read_and_their_code_is_not_run(tmp_path, monkeypatch, installed):
    state = plain(make(positions="learnt"))
    with monkeypatch.context() as patch:
        torch.save({"model": state, **fakes(patch)}, tmp_path / "x.pth")
        entries = read(tmp_path / "x.pth").entries if installed else {}
    entries = entries or read(tmp_path / "x.pth").entries
    assert [type(entries[name]) for name in ("loss_scaler", "list")] == [Inert, Inert]
    assert vars(entries["list"]) == vars(entries["loss_scaler"]) == {}
    assert vars(entries["hyper_parameters"]["config"]) == {}
    assert entries["easy"] == {"a": {"b": 1}}


@pytest.mark.parametrize("name", NAMES)
def test_no_real_class_is_called_whatever_its_arguments_are(tmp_path, name):
    module, _, short = name.rpartition(".")
    call = f"c{module}\n{short}\n".encode() + b"X\x01\x00\x00\x001\x85R"
    write_archive(tmp_path / "x.pth", b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s.")
    found = read(tmp_path / "x.pth").entries["a"]
    assert not found or type(found).__module__ == "caebench.checkpoints.reading"


@pytest.mark.parametrize("name", ["omegaconf.omegaconf.OmegaConf", "pathlib.os", "subprocess.Popen", "numpy.load"])
def test_a_name_that_is_not_listed_is_refused_by_name(tmp_path, name):
    module, _, short = name.rpartition(".")
    inner = f"cargparse\nNamespace\nc{module}\n{short}\n".encode() + b"X\x01\x00\x00\x001\x85R\x85R"
    write_archive(tmp_path / "x.pth", b"\x80\x02}X\x01\x00\x00\x00a" + inner + b"s.")
    with pytest.raises(ValueError, match=rf"x\.pth: refused: it calls `{name}`, which is not a plain container\."):
        read(tmp_path / "x.pth")


def test_a_stand_in_is_called_at_most_so_an_instance_of_it_is_refused(tmp_path):
    call = b"cpathlib\nPosixPath\n)R)R"
    write_archive(tmp_path / "x.pth", b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s.")
    with pytest.raises(ValueError, match=r"refused: it calls `caebench\.checkpoints\.reading\.Inert"):
        read(tmp_path / "x.pth")
