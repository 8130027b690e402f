"""Views that the device makes of crops: Pillow's to the last bit."""

import numpy as np
import pytest
import torch
from PIL import Image

from caebench.data import crops as module
from caebench.data.crops import CROP, Crops, collate, groups
from caebench.data.loading import open_image, read_pixels
from caebench.data.samples.labelled import LabelledSample
from caebench.data.transforms import Crop, CropAndFlip, TwoViews, Wanted, evaluation, normalize, to_tensor
from caebench.datasets.errors import DataError
from caebench.specs.pixel_stats import NAMED

WANTED = {"image": Wanted(56, "bicubic", normalized=True), "view": Wanted(28, "lanczos", normalized=False)}
CPU = torch.device("cpu")


def noise(height, width, seed=0):
    """The hardest picture: every pixel counts, and sums overshoot on both sides."""
    values = np.random.default_rng(seed).choice([0, 255, 128, 1], (height, width, 3))
    return torch.from_numpy(values.astype(np.uint8))


def as_pillow(pixels):
    return Image.fromarray(pixels.numpy())


def test_they_are_pillows(monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS", 20 * 97 * 97)
    sides = [1, 2, 3, 27, 28, 29, 55, 56, 57, 97, 160, 333]
    shapes = [(height, width) for height in sides for width in sides[:: 1 + height % 3] if height <= 100 * width]
    crops = [Crop(noise(*shape, seed), seed % 2 == 1, WANTED) for seed, shape in enumerate(shapes)]
    assert len({len(shapes[some]) for some in groups(shapes)}) > 2, "several groups, each of its own width and height"
    views = Crops.pack(crops).to_views(CPU)
    for number, crop in enumerate(crops):
        picture = as_pillow(crop.pixels)
        if crop.flipped:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        bicubic = picture.resize((56, 56), Image.Resampling.BICUBIC)
        assert torch.equal(views["image"][number], normalize(to_tensor(bicubic))), crop.pixels.shape
        assert torch.equal(views["view"][number], to_tensor(picture.resize((28, 28), Image.Resampling.LANCZOS)))


def test_a_huge_crop_is_alone():
    """Not among thirty small ones that would be padded to its size."""
    shapes = [(375, 500)] * 30 + [(6000, 9000)] + [(375, 500)] * 100
    found = [shapes[some] for some in groups(shapes)]
    assert [shape for part in found for shape in part] == shapes and [(6000, 9000)] in found
    rooms = [len(part) * max(h for h, _ in part) * max(w for _, w in part) for part in found]
    assert sorted(rooms)[-2] <= module.MOST_PIXELS < sorted(rooms)[-1] == 6000 * 9000
    assert len(found) == 5


def test_a_crop_of_its_own_size_is_left_as_it_is():
    crop = Crop(noise(28, 28), False, {"view": WANTED["view"]})
    assert torch.equal(Crops.pack([crop]).to_views(CPU)["view"][0], to_tensor(as_pillow(crop.pixels)))


@pytest.mark.parametrize(
    "transform",
    [CropAndFlip(32, 0.08), CropAndFlip(32, 0.08, one_try=True), CropAndFlip(32, 0.08, stats=NAMED["inception"])],
)
def test_a_probes_sample_is_the_same(transform):
    pixels, sample = noise(60, 90), LabelledSample(transform, seed=3)
    assert sample.takes_pixels and not LabelledSample(evaluation(32), 3).takes_pixels
    keys = [(epoch, 5) for epoch in range(40)]
    batch = collate([sample(pixels.permute(2, 0, 1), 7, key) for key in keys])
    whole = collate([sample(as_pillow(pixels), 7, key) for key in keys])
    crops = batch.pop(CROP)
    assert set(crops.flipped) == {True, False} and len(set(crops.shapes)) > 20
    assert torch.equal(crops.to_views(CPU)["image"], whole.pop("image"))
    assert {name: value.tolist() for name, value in batch.items()} == {n: v.tolist() for n, v in whole.items()}


def test_colours_are_not_jittered_there():
    with pytest.raises(AssertionError, match="jitter"):
        TwoViews(32, 16, 0.08, color_jitter=0.4).cut(noise(60, 90).permute(2, 0, 1))


def save(path, picture, **options):
    picture.save(path, options.pop("format", "JPEG"), **options)
    return path


@pytest.mark.parametrize("size", [(90, 60), (91, 61)])
def test_files_are_decoded_alike(tmp_path, size):
    """Whatever a file that is called .JPEG holds."""
    picture = as_pillow(noise(20, 30)).resize(size)
    cmyk = picture.convert("CMYK")
    files = [
        save(tmp_path / "plain.JPEG", picture),
        save(tmp_path / "full.JPEG", picture, subsampling=0, quality=97),
        save(tmp_path / "half.JPEG", picture, subsampling=1, progressive=True),
        save(tmp_path / "rgb.JPEG", picture, keep_rgb=True),
        save(tmp_path / "grey.JPEG", picture.convert("L")),
        save(tmp_path / "cmyk.JPEG", cmyk),
        save(tmp_path / "really.JPEG", picture, format="PNG"),
        save(tmp_path / "palette.JPEG", picture.convert("P"), format="PNG"),
    ]
    for path in files:
        pixels = read_pixels(path)
        assert pixels.permute(1, 2, 0).numpy().tolist() == np.asarray(open_image(path)).tolist(), path.name


def test_a_damaged_file_is_named(tmp_path):
    whole = save(tmp_path / "whole.JPEG", as_pillow(noise(60, 90))).read_bytes()
    damaged = {"cut.JPEG": whole[: len(whole) // 2], "empty.JPEG": b"", "text.JPEG": b"no image"}
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_pixels(tmp_path / name)
    with pytest.raises(DataError, match="missing"):
        read_pixels(tmp_path / "missing.JPEG")
