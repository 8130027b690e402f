"""A sample whose codes come out of a cache (ADR 19)."""

from collections.abc import Callable
from typing import Any

from PIL import Image

from caebench.data.codes import CodeCache
from caebench.data.loading import Key, takes_pixels
from caebench.data.transforms import Pixels


class CachedSample:
    """A sample with its codes out of the cache; made in full where the cache does not reach."""

    def __init__(self, make_sample: Callable[..., dict[str, Any]], cache: CodeCache) -> None:
        self.make_sample, self.cache = make_sample, cache
        self.takes_pixels = takes_pixels(make_sample)

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """Without the tokenizer's view where the codes are there."""
        if key[0] not in self.cache:
            return self.make_sample(image, label, key)
        return {**self.make_sample(image, label, key, with_view=False), "codes": self.cache.read(key)}
