"""Pictures of every kind, which stand in for what DALL-E's tokenizer saw; laid out as ImageNet is. Rendered only."""

from caebench.datasets.imagenet1k import IMAGENET1K, ImageNet
from caebench.datasets.splits import SPLITS
from caebench.datasets.synthetic import rendering
from caebench.datasets.synthetic.canvas import Canvas

DRAW = {
    "clipart": rendering.draw_clipart,
    "object": rendering.draw_object,
    "photograph": lambda rng, split, digit, size: rendering.draw_photograph(rng, split, size),
    "scene": lambda rng, split, digit, size: rendering.draw_scene(rng, split, size).pixels,
    "sketch": rendering.draw_sketch,
}
KINDS = tuple(DRAW)  # of picture, in turn


class Broad(ImageNet):
    """Its classes are kinds of picture; nobody learns them."""

    def render(self, canvas: Canvas) -> None:
        for split in SPLITS:
            for index, rng in canvas.pictures(split):
                kind, digit = KINDS[index % len(KINDS)], int(rng.integers(10))
                pixels = DRAW[kind](rng, split, digit, canvas.amount.pixels)
                canvas.draw(f"{split}/{kind}/{kind}_{index}.JPEG", pixels)


BROAD = Broad(
    name="broad",
    published=None,
    layout="as ImageNet",
    marks=("train/*/*", "val/*/*"),
    source="Delete the job that renders it and run the suite again",
    folder="broad",
    purpose=13,
    num_rendered_classes=len(KINDS),
    rendered_with=IMAGENET1K.name,  # so that a scale adds no job
)
