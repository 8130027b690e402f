"""One pretraining step of a method at the sizes, weights and inputs of its reference file, under that file's names."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from caebench.datasets.imagenet1k import IMAGENET1K
from caebench.datasets.registry import DATASETS
from caebench.methods.builders import build_method
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.masking import Masking
from caebench.specs.methods.base import Method
from caebench.specs.methods.beit import BEiT
from caebench.specs.methods.deit import DeiT
from caebench.specs.methods.dino import DINO
from caebench.specs.methods.ibot import IBOT
from caebench.specs.methods.mae import MAE
from caebench.specs.methods.moco_v3 import MoCoV3
from caebench.specs.optim import SGD, Optimization
from caebench.specs.pretrain import Pretrain
from caebench.specs.targets import DALLETarget
from caebench.specs.variants import VARIANTS, Variant
from caebench.specs.world import World
from caebench.training.hooks import StepInfo
from caebench.training.optim import clip_gradients, make_optimizer, split_decay
from tests.golden.official_names import COUNTED, load, part, rename
from tests.golden.reference import read

Values = dict[str, Tensor]
Batch = dict[str, Tensor]


@dataclass
class Reference:
    """A method's files."""

    method: str
    weights: Values = field(init=False)
    inputs: Values = field(init=False)
    expected: Values = field(init=False)
    settings: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.weights, self.settings = read(self.method, "weights")
        self.inputs, self.expected = read(self.method, "inputs")[0], read(self.method, "expected")[0]

    def build(self, config: Method, weights: Values | None = None, **optimization: Any) -> Any:
        """The method with these weights."""
        s = self.settings
        pretrain = Pretrain(
            kind="pretrain",
            variant="nano_b",
            method=config,
            data=SyntheticData(kind="synthetic", name="imagenet1k", world=World(kind="world")),
            image_size=s["image"],
            optimization=self.optimization(**optimization),
        )
        with (
            patch.dict(VARIANTS, nano_b=Variant(s["dim"], s["depth"], s["heads"], s["patch"])),
            patch.dict(DATASETS, imagenet1k=replace(IMAGENET1K, num_rendered_classes=s.get("classes", 10))),
        ):
            method = build_method(pretrain)
        load(self.method, method, weights or self.weights)
        return method

    def optimization(self, **changes: Any) -> Optimization:
        """The official plain SGD, at the peak of a batch of 256."""
        s = self.settings
        optimizer = SGD(kind="sgd", momentum=0.9, nesterov=False, weight_decay=s.get("weight_decay", 0.0))
        return Optimization(
            optimizer=optimizer,
            epochs=s.get("epochs", 1),
            warmup_epochs=0,
            global_batch=256,
            base_lr=s.get("lr", 1.0),
            precision="fp32",
            **changes,
        )


def run_all(method: str) -> tuple[Values, Values]:
    """Everything that our step computes, and what the official code computed, under the same names."""
    reference = Reference(method)
    ours: Values = {}
    for run, values in STEPS[method](reference):
        ours |= {f"{run}/{name}" if run else name: value.detach().clone() for name, value in values.items()}
    return ours, reference.expected


# ---- masked images, supervised --------------------------------------------------------------------------------------


def mae(reference: Reference) -> Iterator[tuple[str, Values]]:
    s, inputs = reference.settings, reference.inputs
    config = MAE(
        kind="mae",
        masking=Masking(kind="random", ratio=s["mask_ratio"], rounding="visible_down"),
        decoder_dim=s["decoder_dim"],
        decoder_depth=s["decoder_depth"],
        decoder_num_heads=s["decoder_heads"],
    )
    batch = {"image": inputs["images"], "masked": inputs["mask"]}
    for run, normalize in (("", True), ("raw", False)):
        method = reference.build(config.replace(normalize_patches=normalize))
        with recorded(method.encoder, method.decoder.stack) as outputs:
            values = descend(reference, method, batch)
        (latent,), (decoded,) = outputs
        shown = {} if run else {"latent": latent, "pred": method.decoder.head(decoded[:, 1:])}
        yield run, {**values, **shown}


def beit(reference: Reference) -> Iterator[tuple[str, Values]]:
    s, inputs = reference.settings, reference.inputs
    target = DALLETarget(kind="dalle", vocabulary=s["vocabulary"])
    batch = {
        "image": inputs["images"],
        "masked": inputs["mask"],
        "codes": inputs["codes"],
        "drop_path_uniforms": inputs["draws"],
    }
    for run, rate in (("", 0.0), ("dropped", s["drop_path"])):
        method = reference.build(BEiT(kind="beit", target=target, drop_path=rate))
        with recorded(method.encoder, method.head) as outputs:
            values = descend(reference, method, batch, {"accuracy": "code_accuracy"})
        (tokens,), (logits,) = outputs
        yield run, {**values, "tokens": tokens, "logits": logits}


def deit(reference: Reference) -> Iterator[tuple[str, Values]]:
    s, inputs, expected = reference.settings, reference.inputs, reference.expected
    for run, mixing, rate in (*((m, m, 0.0) for m in s["numpy_seeds"]), ("dropped", "mixup", s["drop_path"])):
        method = reference.build(DeiT(kind="deit", drop_path=rate, label_smoothing=s["label_smoothing"]))
        mixed = expected[f"{mixing}/mixed"], expected[f"{mixing}/targets"]
        shown = dict(zip(("mixed", "targets"), mixed, strict=True)) if run == "cutmix_odd" else {}
        if run not in ("cutmix_odd", "dropped"):
            np.random.seed(int(inputs[f"seed/{run}"]))
            mixed = method.mix.mixup(inputs["images"].clone(), inputs["labels"])
            shown = dict(zip(("mixed", "targets"), mixed, strict=True))
        method.mix = lambda batch, mixed=mixed: mixed
        with recorded(method.head) as outputs:
            values = descend(reference, method, {"drop_path_uniforms": inputs["draws"]})
        ((logits,),) = outputs
        yield run, {**values, **shown, "logits": logits}


# ---- two branches ---------------------------------------------------------------------------------------------------


def moco_v3(reference: Reference) -> Iterator[tuple[str, Values]]:
    s, inputs = reference.settings, reference.inputs
    config = MoCoV3(
        kind="moco_v3",
        temperature=s["temperature"],
        momentum=s["momentum_start"],
        hidden_dim=s["hidden"],
        output_dim=s["output"],
    )
    method = reference.build(config)
    info = StepInfo(s["epoch"], s["epochs"], 1)
    before = snapshot(method)
    method.before_step(info)
    batch = {"views": torch.stack([inputs["first"], inputs["second"]], dim=1)}
    with recorded(method.predictor, method.momentum.projector) as outputs:
        values = descend(reference, method, batch)
    (q1, q2), (k1, k2) = outputs
    momentum = torch.tensor(info.cosine(config.momentum, 1.0), dtype=torch.float64)
    after, buffers = method.state_dict(), dict(method.named_buffers())
    copies = [name for name in reference.weights if name.startswith("momentum_encoder.") and not COUNTED.search(name)]
    running = [name for name in reference.weights if rename("moco_v3", name) in buffers and "running" in name]
    values |= {f"after/{name}": after[rename("moco_v3", name)] for name in (*copies, *running)}
    values |= change(reference, "after_change", before, after, copies)
    yield "", {**values, "q1": q1, "q2": q2, "k1": k1, "k2": k2, "momentum": momentum}


def dino(reference: Reference) -> Iterator[tuple[str, Values]]:
    for run, options in reference.settings["runs"].items():
        normed = options.get("norm_last_layer", True)
        config = DINO(kind="dino", norm_last_layer=normed, **common(reference, run))
        method, batch = distilling(reference, run, config)
        with recorded(method.student.head, method.teacher.head) as outputs:
            values = step(reference, method, batch, options)
        (student,), (teacher,) = outputs
        values |= {"student_output": student, "teacher_output": teacher, "center_after": method.center.value}
        yield run, {**values, **wholes(reference, run, method), **small_positions(method, reference, run)}


def ibot(reference: Reference) -> Iterator[tuple[str, Values]]:
    s, inputs = reference.settings, reference.inputs
    for run, options in s["runs"].items():
        config = IBOT(
            kind="ibot",
            patch_teacher_temperature=s["patch_temperature"],
            patch_teacher_temperature_start=s["patch_temperature_start"],
            patch_center_momentum=s["patch_center_momentum"],
            class_weight=s["class_weight"],
            patch_weight=s["patch_weight"],
            **common(reference, run),
        )
        method, batch = distilling(reference, run, config)
        head = copy.deepcopy(method.student.head)  # as it is before the step
        method.patch_center.value.copy_(inputs["patch_center"])
        batch["masked"] = inputs["masks"].transpose(0, 1)
        with recorded(method.student.encoder, method.student.head, method.teacher.head) as outputs:
            values = step(reference, method, batch, options, {"class_loss": "class_loss", "patch_loss": "patch_loss"})
        (tokens, _), (student, _), (teacher,) = outputs
        values["patch_loss"] *= s["patch_weight"]  # weighted, as they are logged
        values["class_loss"] *= s["class_weight"]
        values |= {"student_class": student, "teacher_class": teacher[:, 0], "center_after": method.center.value}
        values |= {"patch_center_after": method.patch_center.value}
        values["patch_temperature"] = torch.tensor(method.patch_temperature, dtype=torch.float64)
        if f"{run}/student_patches" in reference.expected:
            values |= {"student_patches": head(tokens[:, 1:]), "teacher_patches": teacher[:, 1:]}
        yield run, {**values, **wholes(reference, run, method), **small_positions(method, reference, run)}


STEPS: Mapping[str, Callable[[Reference], Iterator[tuple[str, Values]]]] = {
    "mae": mae,
    "beit": beit,
    "deit": deit,
    "moco_v3": moco_v3,
    "dino": dino,
    "ibot": ibot,
}


def common(reference: Reference, run: str) -> dict[str, Any]:
    """What DINO's and iBOT's runs share."""
    s = reference.settings
    options = s["runs"][run]
    return {
        "prototypes": s["prototypes"],
        "hidden_dim": s["hidden"],
        "bottleneck_dim": s["bottleneck"],
        "teacher_temperature": s["temperature"],
        "teacher_temperature_start": s["temperature_start"],
        "teacher_temperature_epochs": s["warmup_epochs"],
        "center_momentum": s.get("center_momentum", 0.9),
        "momentum": s["momentum_start"],
        "frozen_epochs": options["freeze"],
        "drop_path": options["rate"],
        "num_local": s["num_local"],
        "local_size": s["small"] if run == "small" else s["image"],
    }


def distilling(reference: Reference, run: str, config: DINO | IBOT) -> tuple[Any, Batch]:
    """The method, its centre and a batch of a run."""
    inputs = reference.inputs
    lengths = {
        f"{branch}/head.last_layer.weight_g": inputs[f"{run}/{branch}"]
        for branch in ("student", "teacher")
        if f"{run}/{branch}" in inputs
    }
    method = reference.build(config, {**reference.weights, **lengths})
    method.center.value.copy_(inputs["center"])
    batch = {
        "views": inputs["views"].transpose(0, 1),
        "local": inputs["local_small" if run == "small" else "local_equal"].transpose(0, 1),
        "drop_path_uniforms": inputs["draws"].transpose(0, 1),
    }
    return method, batch


def step(
    reference: Reference, method: Any, batch: Batch, options: Mapping[str, Any], logged: Mapping[str, str] | None = None
) -> Values:
    """A whole step of the optimizer, as `training.trainer` makes it."""
    config = reference.optimization(clip_grad=options["clip"], clip_grad_of="each")
    groups = split_decay(method)
    optimizer = make_optimizer(config, groups)
    info, before = StepInfo(options["epoch"], config.epochs, 1), snapshot(method)
    method.before_step(info)
    values = descend(reference, method, batch, logged)
    clip_gradients([p for group in groups for p in group["params"]], config)
    method.before_update(info)
    values |= gradients(reference, method, "stepped_grad")
    optimizer.step()
    method.after_step(info)
    after = method.state_dict()
    for branch in ("student", "teacher"):
        names = [name for name in reference.weights if name.startswith(f"{branch}/")]
        values |= change(reference, f"{branch}_change", before, after, names)
    values["momentum"] = torch.tensor(info.cosine(method.config.momentum, 1.0), dtype=torch.float64)
    values["teacher_temperature"] = torch.tensor(method.teacher_temperature, dtype=torch.float64)
    return values


def descend(reference: Reference, method: nn.Module, batch: Batch, logged: Mapping[str, str] | None = None) -> Values:
    """The loss, what else is logged, and the gradients."""
    outputs = method.train()(batch)
    outputs["loss"].backward()
    values = {name: outputs[ours] for name, ours in (logged or {}).items()}
    return {"loss": outputs["loss"], **values, **gradients(reference, method, "grad")}


def gradients(reference: Reference, method: nn.Module, kind: str) -> Values:
    """Norm and probe of each gradient, under the official name."""
    parameters = dict(method.named_parameters())
    found: Values = {}
    for name in (name for name in reference.weights if "last_layer2" not in name):  # the first one's tensors again
        parameter = parameters.get(rename(reference.method, name))
        if parameter is not None and parameter.grad is not None:
            found |= described(kind, short(name), part(name, parameter.grad))
    return found


def change(reference: Reference, kind: str, before: Values, after: Values, names: list[str]) -> Values:
    """Norm and probe of what a step changed; a length that is fixed at one does not change."""
    found: Values = {}
    for name in names:
        ours = rename(reference.method, name)
        moved = part(name, after[ours] - before[ours]) if ours in after else torch.zeros(1)
        found |= described(kind, short(name), moved)
    return found


def described(kind: str, name: str, tensor: Tensor) -> Values:
    """The norm, and the inner product with cos(0), cos(1), ..., which says where the values are."""
    flat = tensor.detach().double().flatten()
    return {
        f"{kind}_norm/{name}": flat.norm(),
        f"{kind}_probe/{name}": flat @ torch.arange(len(flat), dtype=torch.float64).cos(),
    }


def short(name: str) -> str:
    """A name as the expected values have it: without its branch."""
    return name.partition("/")[2] or name


def snapshot(module: nn.Module) -> Values:
    """The state as it is now."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@contextmanager
def recorded(*modules: nn.Module) -> Iterator[list[list[Tensor]]]:
    """What each module gives, call by call."""
    outputs: list[list[Tensor]] = [[] for _ in modules]
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, kept=kept: kept.append(output.detach()))
        for module, kept in zip(modules, outputs, strict=True)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def small_positions(method: Any, reference: Reference, run: str) -> Values:
    """What a small crop's positions are before the step, class token first; by the weights, which the step moved."""
    if run != "small":
        return {}
    load(reference.method, method, reference.weights)
    encoder = method.student.encoder
    side = reference.settings["small"] // encoder.variant.patch_size
    positions = encoder._positions_on((side, side))
    return {"student_positions": torch.cat([encoder.pos_embed[:, :1], positions], dim=1)}


def wholes(reference: Reference, run: str, method: Any) -> Values:
    """The few tensors that stand in the file as a whole after the step."""
    state, found = method.state_dict(), dict[str, Tensor]()
    for name in reference.expected:
        kind, _, official = name.removeprefix(f"{run}/").partition("_after/")
        if name.startswith(f"{run}/") and official:
            whole = state[rename(reference.method, f"{kind}/{official}")]
            found[name.removeprefix(f"{run}/")] = whole.reshape(reference.expected[name].shape)
    return found
