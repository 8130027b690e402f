"""What the two are: the half that plans reads this, so no torch here."""

from typing import ClassVar, Literal, Self

from pydantic import PositiveInt

from caebench.specs.arithmetic import encode
from caebench.specs.inputs.dataset import IMAGE_SIZE, IMAGENET, Data
from caebench.specs.job import Inputs, Protocol, Spec, Speed, encoder_size
from caebench.specs.methods.base import Method
from caebench.specs.optim import AdamW, Optimization, Precision
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import Specs
from caebench.specs.scale import Scale
from caebench.specs.variants import Variant, VariantName


class Rotation(Method):
    """Rotation prediction (arXiv 1803.07728): by which of four quarter turns was an image turned?"""

    kind: Literal["rotation"]

    def step_multiply_adds(self, variant: Variant, image_size: int) -> float:
        """All four turns of an image."""
        return 3 * 4 * encode(variant, image_size)


def rotation(variant: VariantName = "vit_b", epochs: int = 100) -> Pretrain:
    """Rotation prediction with a ViT. Not in the paper: an example."""
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=Rotation(kind="rotation"),
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=Optimization(
            optimizer=AdamW(kind="adamw"), epochs=epochs, warmup_epochs=10, global_batch=1024, base_lr=1.5e-4
        ),
        crop_scale_min=0.2,
    )


class NearestCentroid(Spec):
    """Each validation image takes the class whose mean feature is nearest by angle."""

    METRICS: ClassVar[tuple[str, ...]] = ("top1",)
    SPEED: ClassVar[Speed] = "frozen"

    kind: Literal["nearest_centroid"]
    data: Data
    image_size: PositiveInt
    precision: Precision = "bf16"

    def scaled(self, scale: Scale) -> Self:
        """Smaller images."""
        size = scale.size(self.image_size)
        return self.replace(data=self.data.scaled(scale), image_size=size, precision=scale.precision)

    def multiply_adds(self, inputs: Inputs) -> float:
        """Every image encoded once."""
        return encode(encoder_size(inputs), self.image_size) * (self.data.size.train + self.data.size.val)

    def protocol(self) -> Protocol:
        """What a report says of it."""
        return {"feature": "cls", "norm": "final norm, then unit length", "resolution": str(self.image_size)}


def nearest_centroid(variant: VariantName = "vit_b") -> NearestCentroid:
    """Nearest class mean on ImageNet-1k. Not in the paper: an example."""
    return NearestCentroid(kind="nearest_centroid", data=IMAGENET, image_size=IMAGE_SIZE)


SPECS = Specs(
    kinds=(NearestCentroid,),
    methods=(Rotation,),
    sources={"rotation": rotation},
    evaluations={"nearest_centroid": nearest_centroid},
)
