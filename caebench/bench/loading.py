"""The time of making samples compared with only decoding the files, in one process."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import skimage.data
import torch
from PIL import Image

from caebench.bench.settings import Settings
from caebench.bench.timing import interleave, paired
from caebench.data.crops import collate
from caebench.data.loading import MakeSample, Samples, open_image, read_pixels, takes_pixels
from caebench.data.samples.labelled import LabelledSample
from caebench.data.samples.masked import MaskedSample
from caebench.data.transforms import CropAndFlip, evaluation
from caebench.datasets.splits import ImageSplit
from caebench.models.tokenizer import DALLEEncoder
from caebench.models.vit import Encoder
from caebench.specs.methods.cae import cae_of
from caebench.specs.site import Resize
from caebench.specs.variants import VARIANTS

SIZE = (500, 375)  # the most common size in ImageNet
QUALITY = 90
COLOUR = ("astronaut", "chelsea", "coffee", "rocket")  # scikit-image's photographs


def write_images(folder: Path, num_images: int) -> ImageSplit:
    """JPEG files of ImageNet's most common size, from scikit-image's photographs."""
    photographs = [Image.fromarray(getattr(skimage.data, name)()).resize(SIZE) for name in COLOUR]
    for number in range(num_images):
        picture = photographs[number % len(photographs)].rotate(number)
        picture.save(folder / f"{number}.jpg", quality=QUALITY)
    return ImageSplit(folder, [(f"{number}.jpg", 0) for number in range(num_images)], "")


def makers(settings: Settings) -> dict[str, MakeSample]:
    """The sampler of each kind of sample."""
    method, config = cae_of(settings.config), settings.config
    encoder = Encoder(VARIANTS[config.variant], config.image_size)
    tokenizer = DALLEEncoder(vocabulary=8, width=4)  # a sampler only uses its stride
    num_drop_path_uniforms = 2 * encoder.num_drop_path_uniforms + 2 * (method.regressor_depth + method.decoder_depth)
    return {
        "pretraining": MaskedSample(config, method.masking, encoder.grid, num_drop_path_uniforms, tokenizer.stride),
        "probe": LabelledSample(CropAndFlip(config.image_size, 0.08), 0),
        "evaluation": LabelledSample(evaluation(config.image_size), 0),
    }


def bench_data(settings: Settings) -> dict[str, Any]:
    """Images per second of each kind of batch and of decoding alone, interleaved on the same files."""
    with TemporaryDirectory() as name:
        split = write_images(Path(name), settings.batch)
        paths = [split.root / path for path, _ in split.entries]
        things: dict[str, Callable[[], Any]] = {
            "decoding": lambda: [read_pixels(path) for path in paths],
            "decoding by Pillow": lambda: [open_image(path) for path in paths],
        }
        for kind, maker in makers(settings).items():
            things[kind] = batches(split, maker, "loader")
            if takes_pixels(maker):
                things[f"{kind}, resize on device"] = batches(split, maker, "device")
        times = interleave(things, torch.device("cpu"), warm_up=min(1, settings.warm_up), repeats=settings.repeats)
        num_bytes = sum(path.stat().st_size for path in paths) / len(paths)
    return {
        "file": {"width": SIZE[0], "height": SIZE[1], "quality": QUALITY, "mean_bytes": num_bytes},
        "images_per_second": {kind: settings.batch / seconds.median for kind, seconds in times.items()},
        "time_over_decoding": {
            kind: paired(seconds, times["decoding"])._asdict() for kind, seconds in times.items() if kind != "decoding"
        },
    }


def batches(split: ImageSplit, maker: MakeSample, resize: Resize) -> Callable[[], dict[str, Any]]:
    """A function that makes one batch of the full split and decodes each file again, as if it did not fit in memory."""
    samples = Samples(split, maker, resize, keep=False)
    return lambda: collate(samples.__getitems__([(0, number) for number in range(len(samples))]))
