"""timm's own networks behind the encoder's interface: whatever of them gives features (ADR 40).

Networks of blocks on tokens give the tokens of each block. All others, convolutional ones among them, give the map of
their last stage as tokens of patches, each as large as the map's stride. Weights are never fetched here.
"""

import inspect
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

import timm
import torch
from jaxtyping import Float
from timm.layers.drop import DropPath
from timm.optim._param_groups import param_groups_layer_decay
from torch import Tensor, nn

from caebench.models.attention import SampleDropPath
from caebench.models.vit import Chosen, Encoder, Fill, num_grid
from caebench.specs.architecture import Architecture
from caebench.specs.did_you_mean import suggest
from caebench.specs.variants import Variant

UNUSED = ("attn_pool", "fc_norm", "head")  # after the features that are taken
HEAD_DIM = 64  # of the attentive probe's heads, for networks without heads


class ShapedDropPath(SampleDropPath):
    """Stochastic depth of a sample, for tokens and for maps."""

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Zero the branch of the samples that drop it, and rescale the others'."""
        return x if self.keep is None else x * self.keep.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def known_model(name: str) -> str:
    """The name, if timm has a network of that name, and a set of weights of its tag.

    Raises:
        ValueError: it has not.
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise ValueError(
            f"timm:{name}: timm {timm.__version__} has no such model.{suggest(architecture, timm.list_models())}"
        )
    tags = [other.partition(".")[2] for other in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        known = ", ".join(tags) or "none"
        raise ValueError(
            f"timm:{name}: no weights of {architecture} have the tag '{tag}'.{suggest(tag, tags)} Known: {known}."
        )
    return name


def where_published(name: str) -> str:
    """Where timm says that a network's weights are, as text."""
    found: Any = timm.get_pretrained_cfg(name)
    places = [found.url, f"the hub of Hugging Face as {found.hf_hub_id}" if found.hf_hub_id else ""] if found else []
    return " and ".join(place for place in places if place) or "no place that timm knows"


def make_network(name: str, image_size: int | None = None, drop_path: float = 0.0) -> nn.Module:
    """timm's network without its classifier, for images of this size (its own by default); nothing is fetched.

    Raises:
        ValueError: it takes no images of this size, or gives no features.
    """
    options: dict[str, Any] = {"pretrained": False, "num_classes": 0}
    options |= {"drop_path_rate": drop_path} if drop_path else {}
    wanted = [{"dynamic_img_size": True, "img_size": image_size}, {"img_size": image_size}, {}]
    for extra in wanted:
        given = {key: value for key, value in extra.items() if value is not None}
        try:
            network = timm.create_model(known_model(name), **options, **given)
        except TypeError:  # it has no such option
            continue
        if not hasattr(network, "forward_intermediates"):
            raise ValueError(f"timm:{name}: it gives no features of its stages. Choose another model.")
        return network
    raise ValueError(f"timm:{name}: timm cannot make it without its weights. Choose another model.")


class TimmEncoder(Encoder):
    """A network of timm's as an encoder."""

    def __init__(self, name: str, image_size: int | None = None, *, drop_path: float = 0.0) -> None:
        nn.Module.__init__(self)  # none of the plain ViT's modules
        self.name, self.network = name, cast(Any, make_network(name, image_size, drop_path))
        self.image_size = image_size or int(self.network.pretrained_cfg["input_size"][-1])
        self.positions, self.relative_position_bias, self.interpolation = "learnt", "none", "antialiased"
        self.relative_position_biases = nn.ModuleList()
        self.blocks = nn.ModuleList()  # the network keeps its own: neither recomputed nor compiled by the site
        self.has_tokens = gives_tokens(self.network)
        self.architecture = self._count_prefix()
        self.norm = nn.Identity()
        if self.has_tokens and isinstance(self.network.norm, nn.Module):
            self.norm, self.network.norm = self.network.norm, nn.Identity()
        for name in UNUSED:
            if isinstance(part := getattr(self.network, name, None), nn.Module):
                part.requires_grad_(False)
        self.drop_paths = _take_drop_paths(self.network)
        self.variant = self._measure()
        self.grid = self.image_size // self.variant.patch_size

    def _count_prefix(self) -> Architecture:
        """Class token and registers, of a network of tokens."""
        if not self.has_tokens:
            return Architecture(class_token=False)
        has_class_token = getattr(self.network, "cls_token", None) is not None
        return Architecture(class_token=has_class_token, num_registers=self._num_prefix - has_class_token)

    @property
    def _num_prefix(self) -> int:
        return int(getattr(self.network, "num_prefix_tokens", 0))

    @torch.no_grad()
    def _measure(self) -> Variant:
        """Width, depth, heads and stride, from its own features of an image."""
        was_training = self.network.training
        tokens = self.network.eval() and self(torch.zeros(1, 3, self.image_size, self.image_size))
        self.network.train(was_training)
        dim, side = tokens.shape[2], math.isqrt(tokens.shape[1] - self.num_prefix)
        if side**2 != tokens.shape[1] - self.num_prefix or not side:
            raise ValueError(f"timm:{self.name}: its features are no square map of the image. Choose another model.")
        blocks = list(self.network.blocks) if self.has_tokens else []
        heads = getattr(getattr(blocks[0], "attn", None), "num_heads", None) if blocks else None
        alone = dim // HEAD_DIM if dim % HEAD_DIM == 0 else 1
        return Variant(dim, len(blocks) or 1, heads or alone, self.image_size // side)

    @property
    def num_drop_path_uniforms(self) -> int:
        """Drop-path uniforms per image of one training pass."""
        return len(self.drop_paths)

    def untrained(self) -> Encoder:
        """The network as timm initialises it."""
        return TimmEncoder(self.name, self.image_size)

    def resize(self, image_size: int) -> None:
        """Take images of another size.

        Raises:
            ValueError: the network cannot.
        """
        if image_size == self.image_size:
            return
        if self.has_tokens and not getattr(self.network, "dynamic_img_size", False):
            if not hasattr(self.network, "set_input_size"):
                raise ValueError(f"timm:{self.name}: takes images of {self.image_size} pixels only, not {image_size}.")
            self.network.set_input_size(img_size=image_size)
        self.image_size, self.grid = image_size, num_grid(image_size, self.variant.patch_size)

    def run(
        self,
        images: Float[Tensor, "batch 3 height width"],
        visible: Chosen | None = None,
        drop_path_uniforms: Float[Tensor, "batch numbers"] | None = None,
        fill: Fill | None = None,
    ) -> Iterator[Float[Tensor, "batch tokens dim"]]:
        """The tokens after each block, before the final norm; of a network of stages those of its features."""
        assert visible is None and fill is None, "only methods that train here hide patches"
        for number, layer in enumerate(self.drop_paths):
            layer.set_uniforms(None if drop_path_uniforms is None else drop_path_uniforms[:, number])
        if not self.has_tokens:
            found = self.network.forward_features(images)
            channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
            yield found if found.ndim == 3 else found.flatten(1, 2) if channels_last else found.flatten(2).mT
            return
        asked = {"return_prefix_tokens": True} if self._num_prefix else {}
        for found in self.network.forward_intermediates(images, output_fmt="NLC", intermediates_only=True, **asked):
            yield torch.cat([found[1], found[0]], dim=1) if asked else found

    def layer_groups(self, decay: float) -> list[dict[str, Any]]:
        """Parameter groups by timm's order of layers: the last at the full rate, each before it at `decay` of it."""
        skipped = self.network.no_weight_decay() if hasattr(self.network, "no_weight_decay") else set()
        groups: list[Any] = param_groups_layer_decay(self.network, 1.0, tuple(skipped), layer_decay=decay)
        norm = {"params": list(self.norm.parameters()), "weight_decay": 0.0, "lr_scale": 1.0}
        return [
            {"params": group["params"], "decays": group["weight_decay"] > 0, "lr_scale": group["lr_scale"]}
            for group in (*groups, norm)
            if group["params"]
        ]


def gives_tokens(network: nn.Module) -> bool:
    """Whether a network is one of blocks on tokens, whose final norm is apart."""
    takes = inspect.signature(cast(Any, network).forward_intermediates).parameters
    has_blocks = isinstance(getattr(network, "blocks", None), nn.ModuleList | nn.Sequential)
    return has_blocks and hasattr(network, "norm") and "return_prefix_tokens" in takes and "output_fmt" in takes


def _take_drop_paths(network: nn.Module) -> list[ShapedDropPath]:
    """Put our stochastic depth, which follows the sample, in the place of timm's, which follows a generator."""
    layers: list[ShapedDropPath] = []
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, DropPath):
                layers.append(ShapedDropPath(child.drop_prob))
                setattr(parent, name, layers[-1])
    return layers


def filtered(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A file's tensors under timm's names: what timm itself does to files of other projects when it reads them."""
    filter_fn = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    found = dict(tensors) if filter_fn is None else filter_fn(dict(tensors), network)
    classifiers: Any = cast(Any, network.pretrained_cfg).get("classifier") or ()
    heads = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    return {name: value for name, value in found.items() if not name.startswith(tuple(f"{head}." for head in heads))}
