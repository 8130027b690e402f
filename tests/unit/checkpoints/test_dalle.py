"""DALL-E's published pickle: read without running anything in it, to the same logits."""

import math
import os
import sys
import warnings
from collections import OrderedDict
from functools import partial
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from caebench.checkpoints import dalle as dalle_file
from caebench.models.tokenizer import DALLEEncoder

WIDTH, VOCABULARY = 8, 20


class Conv2d(nn.Module):
    """As in the package dall_e: weights named `w` and `b`, and other attributes beside them."""

    def __init__(self, n_in, n_out, kw, use_float16=True):
        super().__init__()
        self.n_in, self.n_out, self.kw, self.use_float16 = n_in, n_out, kw, use_float16
        self.device, self.requires_grad = torch.device("cpu"), False
        self.w = nn.Parameter(torch.randn(n_out, n_in, kw, kw) / math.sqrt(n_in * kw**2))
        self.b = nn.Parameter(torch.randn(n_out))

    def forward(self, x):
        return F.conv2d(x, self.w, self.b, padding=(self.kw - 1) // 2)


class EncoderBlock(nn.Module):
    def __init__(self, n_in, n_out, n_layers):
        super().__init__()
        self.n_in, self.n_out, self.n_hid, self.post_gain = n_in, n_out, n_out // 4, 1 / n_layers**2
        self.id_path = Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        widths, parts = [n_in, *[self.n_hid] * 3, n_out], OrderedDict()
        for number in range(1, 5):
            parts[f"relu_{number}"] = nn.ReLU()
            parts[f"conv_{number}"] = Conv2d(widths[number - 1], widths[number], 3 if number < 4 else 1)
        self.res_path = nn.Sequential(parts)

    def forward(self, x):
        return self.id_path(x) + self.post_gain * self.res_path(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.group_count, self.n_hid, self.n_blk_per_group, self.vocab_size = 4, WIDTH, 2, VOCABULARY
        groups, n_in = OrderedDict(input=Conv2d(3, WIDTH, 7)), WIDTH
        for number in range(1, 5):
            n_out = WIDTH * 2 ** (number - 1)
            parts = OrderedDict(block_1=EncoderBlock(n_in, n_out, 8), block_2=EncoderBlock(n_out, n_out, 8))
            if number < 4:
                parts["pool"] = nn.MaxPool2d(kernel_size=2)
            groups[f"group_{number}"], n_in = nn.Sequential(parts), n_out
        head = OrderedDict(relu=nn.ReLU(), conv=Conv2d(n_in, VOCABULARY, 1, use_float16=False))
        self.blocks = nn.Sequential(OrderedDict(groups, output=nn.Sequential(head)))

    def forward(self, x):
        return self.blocks(x)


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return Encoder()


@pytest.fixture
def path(published, tmp_path, monkeypatch):
    """The module, pickled under the published names, which no longer exist afterwards."""
    return save(published, tmp_path, monkeypatch)


def save(published, tmp_path, monkeypatch, zipped=True):
    package, encoder, utils = ModuleType("dall_e"), ModuleType("dall_e.encoder"), ModuleType("dall_e.utils")
    with monkeypatch.context() as patch, warnings.catch_warnings():
        for module in (package, encoder, utils):
            patch.setitem(sys.modules, module.__name__, module)
        for module, cls in ((encoder, Encoder), (encoder, EncoderBlock), (utils, Conv2d)):
            patch.setattr(module, cls.__name__, cls, raising=False)
            patch.setattr(cls, "__module__", module.__name__)
        warnings.simplefilter("ignore")  # the legacy format misses the source of classes made here
        torch.save(published, tmp_path / "encoder.pkl", _use_new_zipfile_serialization=zipped)
    assert "dall_e" not in sys.modules
    return tmp_path / "encoder.pkl"


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(dalle_file, "DALLEEncoder", partial(DALLEEncoder, VOCABULARY, WIDTH))


def test_the_published_pickle_gives_the_published_logits(path, published, images):
    expected = published(0.8 * images + 0.1)
    model = dalle_file.read_dalle(path)
    torch.testing.assert_close(model(images), expected, rtol=1e-5, atol=1e-5)
    assert model.codes(images).shape == (2, 16)
    torch.testing.assert_close(model.codes(images), expected.argmax(1).flatten(1))


def test_what_the_job_leaves_is_the_same_encoder(path, images, tmp_path):
    model = dalle_file.read_dalle(path)
    save_file(model.state_dict(), tmp_path / "kept.safetensors")
    again = dalle_file.load_dalle(tmp_path / "kept.safetensors")
    torch.testing.assert_close(again(images), model(images), rtol=0, atol=0)


def test_a_damaged_converted_file_says_what_to_do(tmp_path):
    (tmp_path / "kept.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="Delete its job's folder"):
        dalle_file.load_dalle(tmp_path / "kept.safetensors")


class Hostile:
    """What a pickle could do."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path):
    path, trace = tmp_path / "encoder.pkl", tmp_path / "trace"
    torch.save(Hostile(f"touch {trace}"), path)
    with pytest.raises(ValueError, match=r"not DALL-E's encoder") as caught:
        dalle_file.read_dalle(path)
    assert dalle_file.URL in str(caught.value)
    assert not trace.exists()


def test_a_class_that_is_not_published_is_refused(tmp_path):
    path = tmp_path / "encoder.pkl"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match="not DALL-E's encoder"):
        dalle_file.read_dalle(path)


@pytest.mark.parametrize("name", [None, "nowhere.pkl"])
def test_a_missing_file_says_where_to_get_it(name, tmp_path):
    with pytest.raises(ValueError, match=r"\[assets\] dalle_encoder") as caught:
        dalle_file.read_dalle(tmp_path / name if name else None)
    assert dalle_file.URL in str(caught.value)


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match="not DALL-E's encoder"):
        dalle_file.read_dalle(path)


def test_the_format_before_torch_1_6_is_refused_clearly(published, tmp_path, monkeypatch):
    """It holds source code beside the weights, which torch's safe unpickler does not take."""
    path = save(published, tmp_path, monkeypatch, zipped=False)
    with pytest.raises(ValueError, match="not DALL-E's encoder"):
        dalle_file.read_dalle(path)
