"""Scales: pure functions from config to config, applied once, when a suite is planned. `paper` is the identity.

Nothing below the plan can see a scale: a job gets a resolved config. A scale shrinks and never clamps, so that two
jobs that differ at paper scale differ at every scale; what it swaps is named here, never a silent default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from caebench.config.base import Config
from caebench.config.compared import DINO, IBOT, MAE, BEiT, DeiT, Method
from caebench.config.data import Data, EmbeddedData, RealData, World
from caebench.config.dense import Detection, KNNSegmentation, LearningRateGrid, Segmentation
from caebench.config.method import CAE, DVAE, DALLETarget, DVAETarget, Masking, Target
from caebench.config.names import suggest
from caebench.config.optim import Optimization, Precision
from caebench.config.site import ScaleName
from caebench.config.stage import (
    KNN,
    AttentiveProbe,
    Finetune,
    Imported,
    LinearProbe,
    LinearProbeGrid,
    Pretrain,
    PretrainingCost,
    RandomEncoder,
)
from caebench.config.variants import VARIANTS, VariantName
from caebench.plan.shrink import DenseShrink, FinetuneShrink, MethodShrink, Ratios, Shrink, shrink_method
from caebench.recipes.cae import dvae

PAPER_IMAGE_SIZE = 224
PAPER_CROP = 0.08  # the least share of the image in a crop
C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Scale:
    """A named size of every experiment."""

    name: ScaleName
    variants: Mapping[VariantName, VariantName] = field(default_factory=dict[VariantName, VariantName])
    world: World | None = None  # stands in for every real data set
    image_size: int = PAPER_IMAGE_SIZE
    pretrain: Shrink | None = None
    methods: Mapping[str, Shrink] = field(default_factory=dict[str, Shrink])  # pretraining by kind, where it differs
    sizes: MethodShrink = field(default_factory=MethodShrink)
    dvae: Shrink | None = None
    linear: Shrink | None = None
    attentive: Shrink | None = None
    finetune: Shrink | None = None
    tuning: FinetuneShrink = field(default_factory=FinetuneShrink)
    segmentation: DenseShrink | None = None
    detection: DenseShrink | None = None
    depths: Mapping[int, int] = field(default_factory=dict[int, int])  # of regressor and decoder
    tokenizer: Mapping[str, int] = field(default_factory=dict[str, int])  # sizes of the d-VAE
    crop_scale_min: float = PAPER_CROP
    init_std: float = 1.0  # factor on deviations of initial weights: sqrt(768 / width)
    k: Mapping[int, int] = field(default_factory=dict[int, int])
    precision: Precision = "bf16"

    def apply(self, config: C) -> C:
        """The config at this scale."""
        return config if self.name == "paper" else self._shrink(config)

    def _shrink(self, config: C) -> C:
        match config:
            case Pretrain():
                return self._pretrain(config)
            case RandomEncoder():
                return config.replace(variant=self.variants[config.variant], image_size=self._size(config.image_size))
            case Imported():
                return config  # a released encoder cannot shrink; it takes the scale's images as they are
            case PretrainingCost():
                return config.replace(pretraining=self.apply(config.pretraining), against=self.apply(config.against))
            case LinearProbe():
                return config.replace(
                    optimization=_shrunk(self.linear, config.optimization, self.precision), **self._common(config)
                )
            case LinearProbeGrid():
                optimization = _shrunk(self.linear, config.optimization, self.precision)
                factor = optimization.base_lr / config.optimization.base_lr
                rates = tuple(rate * factor for rate in config.base_lrs)
                return config.replace(optimization=optimization, base_lrs=rates, **self._common(config))
            case AttentiveProbe():
                return config.replace(
                    init_std=config.init_std * self.init_std,
                    optimization=_shrunk(self.attentive, config.optimization, self.precision),
                    **self._common(config),
                )
            case Finetune():
                return self._finetune(config)
            case Segmentation():
                return self._segmentation(config)
            case LearningRateGrid():
                return self._grid_of_rates(config)
            case KNNSegmentation():
                return self._knn_segmentation(config)
            case Detection():
                return self._detection(config)
            case KNN():
                return config.replace(
                    data=self._data(config.data),
                    image_size=self._size(config.image_size),
                    k=tuple(self.k.get(k, k) for k in config.k),
                    precision=self.precision,
                )
            case _:
                raise TypeError(
                    f"scale '{self.name}' does not know a {type(config).__name__}: teach it in plan/scale.py"
                )

    def _common(
        self, config: Pretrain | LinearProbe | LinearProbeGrid | AttentiveProbe | Finetune
    ) -> dict[str, object]:
        return {
            "data": self._data(config.data),
            "image_size": self._size(config.image_size),
            "crop_scale_min": self._crop(config.crop_scale_min),
        }

    def _crop(self, least: float) -> float:
        """The range from the paper's least crop to the whole image, moved onto this scale's; no two values merge."""
        return self.crop_scale_min + (1.0 - self.crop_scale_min) * (least - PAPER_CROP) / (1.0 - PAPER_CROP)

    def _data(self, data: Data) -> Data:
        if self.world is None or not isinstance(data, RealData):
            return data
        return EmbeddedData(kind="embedded", name=data.name, world=self.world)

    def _size(self, image_size: int) -> int:
        return image_size * self.image_size // PAPER_IMAGE_SIZE

    def _grid(self, variant: VariantName) -> int:
        return self.image_size // VARIANTS[self.variants[variant]].patch_size

    def _pretrain(self, config: Pretrain) -> Pretrain:
        shrink = self.methods.get(config.method.kind, self.pretrain)
        optimization, before = _shrunk(shrink, config.optimization, self.precision), config.optimization
        ratios = Ratios(
            epochs=optimization.epochs / before.epochs,
            batch=optimization.global_batch / before.global_batch,
            side=self.image_size / PAPER_IMAGE_SIZE,
        )
        changes = {**self._method(config.method, config.variant), **shrink_method(config.method, self.sizes, ratios)}
        return config.replace(
            variant=self.variants[config.variant],
            method=config.method.replace(**changes),
            optimization=optimization,
            **self._common(config),
        )

    def _method(self, method: Method, variant: VariantName) -> dict[str, object]:
        """Targets, masks, crops, depths and initial weights, which follow the scale's data and encoders."""
        changes: dict[str, object] = {}
        if isinstance(method, CAE | BEiT):
            changes["target"] = self._target(method.target, variant)
        if isinstance(method, CAE | BEiT | MAE | IBOT):
            changes["masking"] = self._masking(method.masking, self._grid(variant))
        if isinstance(method, DINO | IBOT):
            changes |= {name: self._crop(getattr(method, name)) for name in ("local_scale_min", "local_scale_max")}
        if isinstance(method, BEiT | DeiT | DINO | IBOT):
            changes["init_std"] = method.init_std * self.init_std
        if isinstance(method, CAE):
            changes["regressor_depth"] = self.depths.get(method.regressor_depth, method.regressor_depth)
            changes["decoder_depth"] = self.depths.get(method.decoder_depth, method.decoder_depth)
        return changes

    def _masking(self, masking: Masking, grid: int) -> Masking:
        """Blocks keep their share of the image."""
        share = masking.min_block_patches * grid**2 / (PAPER_IMAGE_SIZE // 16) ** 2
        return masking.replace(min_block_patches=max(1, round(share)))

    def _target(self, target: Target, variant: VariantName) -> Target:
        """DALL-E's codes become those of a d-VAE that saw broader data, so the two targets stay two jobs."""
        match target:
            case DALLETarget():
                own = self._dvae(dvae(), variant)
                assert isinstance(own.data, EmbeddedData), "a scale that has a stand-in for DALL-E embeds its data"
                return DVAETarget(kind="dvae", tokenizer=own.replace(data=own.data.replace(name="broad")))
            case DVAETarget():
                return target.replace(tokenizer=self._dvae(target.tokenizer, variant))
            case _:
                return target

    def _dvae(self, config: DVAE, variant: VariantName) -> DVAE:
        """The least perplexity keeps its share of the vocabulary, and the warm-up of the divergence of the epochs."""
        sizes, optimization = dict(self.tokenizer), _shrunk(self.dvae, config.optimization, self.precision)
        share = sizes.get("vocabulary", config.vocabulary) / config.vocabulary
        changes: dict[str, object] = {"min_perplexity": config.min_perplexity * share, **sizes}
        return config.replace(
            data=self._data(config.data),
            image_size=self._grid(variant) * 2 ** sizes.get("num_downsamplings", config.num_downsamplings),
            optimization=optimization,
            kl_warmup_epochs=config.kl_warmup_epochs * optimization.epochs / config.optimization.epochs,
            **changes,
        )

    def _finetune(self, config: Finetune) -> Finetune:
        optimization = _shrunk(self.finetune, config.optimization, self.precision)
        shrunk = optimization.global_batch / config.optimization.global_batch
        group = max(2, round(8 * shrunk * config.mixing.group))  # 8: a group of two images would hardly mix
        milder = self.tuning.apply(config)
        milder["mixing"] = milder["mixing"].replace(group=group)
        return config.replace(optimization=optimization, **milder, **self._common(config))

    def _segmentation(self, config: Segmentation) -> Segmentation:
        shrink = self.segmentation
        assert shrink is not None, "only the paper scale shrinks nothing"
        return config.replace(
            data=self._data(config.data),
            optimization=shrink.apply(config.optimization, self.precision),
            crop_size=round(config.crop_size * shrink.side),
            stride=round(config.stride * shrink.side),
            channels=config.channels // shrink.channels,
            aux_channels=config.aux_channels // shrink.channels,
        )

    def _grid_of_rates(self, config: LearningRateGrid) -> LearningRateGrid:
        shrunk = tuple(self._segmentation(config.at(rate)).optimization.lr for rate in config.rates)
        return config.replace(task=self._segmentation(config.task), rates=shrunk)

    def _knn_segmentation(self, config: KNNSegmentation) -> KNNSegmentation:
        shrink = self.segmentation
        assert shrink is not None, "only the paper scale shrinks nothing"
        size = round(config.image_size * shrink.side)
        return config.replace(data=self._data(config.data), image_size=size, precision=self.precision)

    def _detection(self, config: Detection) -> Detection:
        shrink = self.detection
        assert shrink is not None, "only the paper scale shrinks nothing"
        sides = ("short_sides", "first_short_sides", "crop_sides")
        return config.replace(
            data=self._data(config.data),
            optimization=shrink.apply(config.optimization, self.precision),
            long_side=round(config.long_side * shrink.side),
            channels=config.channels // shrink.channels,
            fc_channels=config.fc_channels // shrink.channels,
            num_rois=config.num_rois // shrink.boxes,
            num_proposals=config.num_proposals // shrink.boxes,
            num_detections=config.num_detections // shrink.boxes,
            **{name: tuple(round(side * shrink.side) for side in getattr(config, name)) for name in sides},
        )


def _shrunk(shrink: Shrink | None, config: Optimization, precision: Precision) -> Optimization:
    assert shrink is not None, "only the paper scale shrinks nothing"
    return shrink.apply(config, precision)


NANO = Scale(
    "nano",  # two CPU cores, minutes: proves wiring, not science
    variants={"vit_s": "nano_s", "vit_b": "nano_b", "vit_l": "nano_l", "vit_h": "nano_h"},
    world=World(kind="world"),
    image_size=48,
    pretrain=Shrink(epochs=0.03, batch=64, lr=80.0),
    methods={  # docs/performance.md
        "mae": Shrink(epochs=56.5, power=0.1, batch=128, lr=107.0),
        "beit": Shrink(epochs=62.2, power=0.1, batch=64, lr=64.0),
        "deit": Shrink(epochs=36.0, power=0.25, batch=32, lr=16.0),
        "moco_v3": Shrink(epochs=0.04, batch=64, lr=2.7),
        "dino": Shrink(epochs=0.025, batch=32, lr=1.0),
        "ibot": Shrink(epochs=0.025, batch=32, lr=1.0),
    },
    sizes=MethodShrink(
        decoder_dim=8,
        decoder_depth=4,
        decoder_num_heads=4,
        hidden_dim=16,
        output_dim=4,
        prototypes=128,
        num_local=5,
    ),
    dvae=Shrink(epochs=0.35, batch=16, lr=480.0),
    linear=Shrink(epochs=0.22, batch=64, lr=50.0),
    attentive=Shrink(epochs=0.22, batch=32, lr=16.0),
    finetune=Shrink(epochs=0.06, batch=64, lr=32.0),
    tuning=FinetuneShrink(augmentation=0.02, mixing=0.01),  # docs/performance.md
    segmentation=DenseShrink(iterations=0.0025, batch=4, lr=10.0, side=64 / 512, channels=32, depth=3.0),
    detection=DenseShrink(iterations=0.0046, batch=8, lr=3.5, side=64 / 800, channels=8, boxes=20, depth=12.0),
    depths={1: 1, 2: 2, 4: 3, 5: 4},
    tokenizer={
        "vocabulary": 64,
        "codebook_dim": 32,
        "hidden_dim": 32,
        "num_downsamplings": 3,
        "num_residual_blocks": 1,
    },
    crop_scale_min=0.5,
    init_std=3.5,
    precision="fp32",
)

LAB = Scale(
    "lab",  # one large GPU, 25 minutes: tests claims over several seeds
    variants={"vit_s": "lab_s", "vit_b": "lab_b", "vit_l": "lab_l", "vit_h": "lab_h"},
    world=World(
        kind="world",
        image_size=96,
        num_train=40_000,
        num_val=5_000,
        num_scenes_train=4_000,
        num_scenes_val=500,
        scene_size=192,
    ),
    image_size=96,
    pretrain=Shrink(epochs=0.1, batch=4, lr=4.0),
    methods={
        "mae": Shrink(epochs=0.1, batch=8, lr=4.0),
        "deit": Shrink(epochs=0.1, batch=4, lr=4.0),
        "moco_v3": Shrink(epochs=0.1, batch=8, lr=4.0),
        "dino": Shrink(epochs=0.1, batch=4, lr=2.0),
        "ibot": Shrink(epochs=0.1, batch=4, lr=2.0),
    },
    sizes=MethodShrink(
        decoder_dim=2,
        decoder_depth=2,
        decoder_num_heads=2,
        hidden_dim=4,
        output_dim=1,
        prototypes=8,
        num_local=2,
        memory=4.0,
    ),
    dvae=Shrink(epochs=0.5, batch=2, lr=10.0),
    linear=Shrink(epochs=0.2, batch=16, lr=4.0),
    attentive=Shrink(epochs=0.2, batch=16, lr=8.0),
    finetune=Shrink(epochs=0.1, batch=8, lr=2.0),
    segmentation=DenseShrink(iterations=0.05, batch=1, lr=2.0, side=192 / 512, channels=3),
    detection=DenseShrink(iterations=0.1, batch=1, lr=2.0, side=192 / 800, channels=2),
    tokenizer={
        "vocabulary": 512,
        "codebook_dim": 128,
        "hidden_dim": 128,
        "num_downsamplings": 2,
        "num_residual_blocks": 2,
    },
    crop_scale_min=0.2,
    init_std=1.7,
)

SCALES: Mapping[ScaleName, Scale] = {"nano": NANO, "lab": LAB, "paper": Scale("paper")}


def find_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        ValueError: there is none.
    """
    for known, scale in SCALES.items():
        if known == name:
            return scale
    raise ValueError(f"--scale '{name}': unknown.{suggest(name, SCALES)} Known: {', '.join(SCALES)}.")
