"""The shapes of the paper, ViT-B on 224 x 224, for one step on a CPU; and compilation, which may change nothing."""

import copy
import shutil

import pytest
import torch
from PIL import Image

from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.samples.mixed import MixedSample
from caebench.methods.builders import build_method
from caebench.methods.cae import CAEMethod, CAEModel
from caebench.models.heads import AttentiveHead, FinetuneHead, LinearHead
from caebench.models.tokenizer import DALLEEncoder, DiscreteVAE
from caebench.models.vit import Encoder
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.finetune import finetune
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.inputs.tokenizer import dvae
from caebench.specs.methods.cae import cae
from caebench.specs.registry import SOURCES
from caebench.specs.variants import VARIANTS
from caebench.tasks.finetune import Classifier, FinetuneStep, layer_groups
from caebench.tasks.probes import Frozen, ProbeStep
from caebench.training.distributed import join_group
from caebench.training.hooks import StepInfo
from caebench.training.optim import make_optimizer, set_learning_rate, split_decay

pytestmark = pytest.mark.slow
BATCH, CLASSES = 2, 1000
VIT_B = VARIANTS["vit_b"]


@pytest.fixture(scope="module", autouse=True)
def group():
    return join_group("cpu")


@pytest.fixture(scope="module")
def pictures():
    """Two photographs of the size of ImageNet's."""
    generator = torch.Generator().manual_seed(0)
    small = torch.randint(0, 256, (BATCH, 25, 20, 3), generator=generator, dtype=torch.uint8).numpy()
    return [Image.fromarray(picture).resize((400, 500)) for picture in small]


def collate(make_sample, pictures):
    return torch.utils.data.default_collate([make_sample(picture, n, (0, n)) for n, picture in enumerate(pictures)])


def train_one_step(module, groups, config, batch):
    """Loss before and after one step of the recipe's optimizer."""
    optimizer = make_optimizer(config, groups)
    set_learning_rate(optimizer, 1e-4)
    module.train()
    outputs = module(batch)
    assert all(value.isfinite().all() for value in outputs.values())
    outputs["loss"].backward()
    gradients = [p.grad for g in groups for p in g["params"]]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    optimizer.step()
    return outputs


def count(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_the_encoder_has_the_published_size():
    """85.67 million: 12 blocks, the patch embedding, the class token, the last norm, and 2 x 12 layer scales.

    Sin-cos positions are no parameters. The usual 85.80 M count learnt positions (0.15 M) and no layer scale (0.02 M);
    DeiT's published 86.57 M a classifier of 1000 classes (0.77 M) besides.
    """
    dim = 768
    block = 12 * dim**2 + 13 * dim + 2 * dim  # matrices; biases and norms; layer scales
    expected = 12 * block + (3 * 16**2 + 1) * dim + dim + 2 * dim
    assert count(Encoder(VIT_B, 224)) == expected
    assert expected == 85_798_656 - 197 * dim + 24 * dim
    assert expected == 86_567_656 - 197 * dim - 1000 * (dim + 1) + 24 * dim  # timm's vit_base_patch16_224, translated


TOKENIZERS = {"dalle": DALLEEncoder, "dvae": lambda: DiscreteVAE(dvae()), "pixels": lambda: None}


@pytest.mark.parametrize("target", TOKENIZERS)
def test_pretraining_takes_a_step(target, pictures):
    config = cae("vit_b", target=target)
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        tokenizer = TOKENIZERS[target]()
        step = CAEMethod(config, tokenizer)
    batch = collate(step.make_sampler(config), pictures)
    assert batch["image"].shape == (BATCH, 3, 224, 224)
    assert batch["masked"].sum(dim=1).tolist() == [98] * BATCH
    if tokenizer is not None:
        assert batch["view"].shape == (BATCH, 3, 112, 112)
        codes = tokenizer.codes(batch["view"])
        assert codes.shape == (BATCH, 196) and codes.max() < 8192
    train_one_step(step, split_decay(step), config.optimization, batch)
    outputs = step.model.losses(batch["image"], batch["masked"], step.targets(batch), batch["drop_path_uniforms"])
    assert outputs["logits"].shape == (BATCH * 98, 768 if target == "pixels" else 8192)
    assert outputs["predicted"].shape == outputs["target"].shape == (BATCH, 98, 768)
    assert outputs["encoded"].shape == (BATCH, 99, 768)


# Trained parameters of ViT-B: MAE's log says 111.66 million, DeiT's page 86.57 (its class token has a position of its
# own); DINO: encoder with learnt positions, and the head of appendix C.
HEAD = 768 * 2048 + 2048 + 2048**2 + 2048 + 2048 * 256 + 256
ENCODER = 85_798_656 - 768
SIZES = {
    "mae": 111_655_680,
    "deit": 86_567_656 - 768,
    "dino": ENCODER + HEAD + 65536 * 256,
    "ibot": ENCODER + HEAD + 8192 * 256 + 768,
    "moco_v3": ENCODER - (196 + 3 * 16**2 + 1) * 768 + 4096 * (768 + 4096 + 256 + 4) + 4096 * (2 * 256 + 2),
    "beit": ENCODER - 196 * 768 + 24 * 768 + (27**2 + 3) * 12 + 768 + 8192 * 769,
}


@pytest.mark.parametrize("name", SIZES)
def test_a_compared_method_has_its_published_size_and_takes_a_step(name, pictures):
    config = SOURCES[name]("vit_b")
    if name == "deit":
        config = config.replace(method=config.method.replace(mixing={"group": BATCH}))
    method = build_method(config, DALLEEncoder() if name == "beit" else None)
    assert method.num_parameters == SIZES[name]
    batch = collate(method.make_sampler(config), pictures)
    method.before_step(StepInfo(0, 100, 10))
    train_one_step(method, split_decay(method), config.optimization, batch)
    method.after_step(StepInfo(0, 100, 10))


def test_dalles_encoder_has_its_published_size():
    assert count(DALLEEncoder()) == pytest.approx(53.8e6, rel=0.01)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Encoder(VIT_B, 224).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("config", "feature", "make_head"),
    [
        (linear_probe(), "cls", lambda: LinearHead(768, CLASSES)),
        (attentive_probe(), "all", lambda: AttentiveHead(768, 12, CLASSES)),
    ],
    ids=["linear", "attentive"],
)
def test_a_probe_takes_a_step(config, feature, make_head, encoder, pictures):
    step = ProbeStep(Frozen(encoder, feature, 1), make_head())
    batch = {"image": torch.randn(BATCH, 3, 224, 224), "label": torch.tensor([3, 999])}
    train_one_step(step, split_decay(step), config.optimization, batch)
    assert step.eval().logits(batch).shape == (BATCH, CLASSES)


def test_finetuning_takes_a_step(pictures):
    config = finetune("vit_b").replace(mixing={"group": BATCH})
    encoder = Encoder(VIT_B, 224, drop_path=config.drop_path, relative_position_bias="block")
    classifier = Classifier(encoder, FinetuneHead(768, CLASSES, config.head_init_scale))
    batch = collate(MixedSample(config, config, encoder.num_drop_path_uniforms), pictures)
    assert batch["image"].shape == (BATCH, 3, 224, 224)
    step = FinetuneStep(classifier, config, CLASSES)
    train_one_step(step, layer_groups(classifier, config.layer_decay), config.optimization, batch)
    assert classifier.eval()(batch["image"]).shape == (BATCH, CLASSES)


def test_knn_features_have_the_encoders_width(encoder):
    features = Frozen(encoder, "cls", 1)(torch.randn(BATCH, 3, 224, 224))
    assert features.shape == (BATCH, 768) and features.isfinite().all()


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore")
def test_compiled_blocks_compute_the_same_losses():
    """As `Run.adapt` does it: each block in place. In a process without jaxtyping's wrappers."""
    import subprocess
    import sys

    code = """
import torch
from caebench.specs.methods.cae import CAE
from caebench.specs.targets import DALLETarget
from caebench.specs.variants import Variant
from caebench.methods.cae import CAEModel
torch.manual_seed(0)
config = CAE(kind="cae", target=DALLETarget(kind="dalle", vocabulary=16), regressor_depth=1, decoder_depth=1)
model = CAEModel(config, Variant(64, 4, 4, 8), 48)
images, masked = torch.randn(4, 3, 48, 48), torch.rand(4, 36).argsort(1) < 18
codes, drop_path_uniforms = torch.randint(0, 16, (72,)), torch.rand(4, model.num_drop_path_uniforms)
def losses():
    model.zero_grad()
    out = model.losses(images, masked, codes, drop_path_uniforms)
    out["total"].backward()
    return [float(out[name]) for name in ("reconstruction", "alignment", "total")], float(
        torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]))
plain = losses()
for block in model.encoder.blocks:
    block.compile()
compiled = losses()
print(plain, compiled)
torch.testing.assert_close(torch.tensor(compiled[0]), torch.tensor(plain[0]), rtol=1e-5, atol=1e-6)
torch.testing.assert_close(compiled[1], plain[1], rtol=1e-4, atol=1e-6)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_accumulated_gradients_are_those_of_the_whole_batch():
    """At real widths too: two halves, each weighted by its share."""
    torch.manual_seed(0)
    config = cae("vit_s", target="pixels")
    model = CAEModel(config.method, VARIANTS["vit_s"], 64)
    other = copy.deepcopy(model)
    images, masked = torch.randn(4, 3, 64, 64), torch.rand(4, 16).argsort(1) < 8
    drop_path_uniforms, values = torch.rand(4, model.num_drop_path_uniforms), torch.randn(32, 768)
    model.losses(images, masked, values, drop_path_uniforms)["total"].backward()
    for half in (slice(0, 2), slice(2, 4)):
        rows = slice(8 * half.start, 8 * half.stop)
        (other.losses(images[half], masked[half], values[rows], drop_path_uniforms[half])["total"] / 2).backward()
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-5, msg=name)
