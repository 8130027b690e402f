"""Every step takes the same samples on any number of processes, in any number of pieces, from any start."""

import os

import numpy as np
import pytest
from PIL import Image

from caebench.data.loading import Grouping, Steps, open_image, read_pixels
from caebench.data.transforms import CropAndFlip, evaluation
from caebench.datasets.errors import DataError
from tests.pictures import exif

NUM_SAMPLES, BATCH, PER_EPOCH = 50, 8, 6


def steps(*, seed=0, start=0, stop=3 * PER_EPOCH, rank=0, size=1, micro=BATCH):
    return Steps(NUM_SAMPLES, BATCH, seed=seed, start=start, stop=stop, rank=rank, size=size, micro=micro)


def global_batches(size, accumulations):
    """The samples of each step, put together from all processes and micro-batches in the order of their positions."""
    micro = BATCH // (size * accumulations)
    parts = [list(steps(rank=rank, size=size, micro=micro)) for rank in range(size)]
    firsts = range(0, len(parts[0]), accumulations)
    return [[key for n in range(first, first + accumulations) for part in parts for key in part[n]] for first in firsts]


@pytest.mark.parametrize(("size", "accumulations"), [(1, 2), (1, 8), (2, 1), (4, 1), (2, 2), (4, 2), (8, 1)])
def test_global_batches_depend_on_neither_processes_nor_accumulation(size, accumulations):
    assert global_batches(size, accumulations) == global_batches(1, 1)


def test_a_later_start_is_the_same_as_skipping():
    whole = list(steps(micro=2))
    for start in (0, 1, PER_EPOCH - 1, PER_EPOCH, 2 * PER_EPOCH + 3):
        assert list(steps(start=start, micro=2)) == whole[start * 4 :]
        assert len(steps(start=start, micro=2)) == len(whole[start * 4 :])


def test_an_epoch_takes_no_sample_twice_and_epochs_differ():
    batches = list(steps())
    orders = []
    for epoch in range(3):
        keys = [key for batch in batches[epoch * PER_EPOCH : (epoch + 1) * PER_EPOCH] for key in batch]
        assert {key[0] for key in keys} == {epoch}
        order = [key[1] for key in keys]
        assert len(set(order)) == PER_EPOCH * BATCH and set(order) <= set(range(NUM_SAMPLES))
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]
    assert set(orders[0]) != set(orders[1]), "what an epoch leaves out is not always the same"


def test_another_seed_is_another_order():
    assert list(steps(seed=1)) != list(steps())


def grouped_batches(world, micro, start=0, stop=12, seed=0, groups=tuple(n % 3 == 0 for n in range(25))):
    """All keys of each step, process by process, of a batch of 8 in runs of 2."""
    grouping = Grouping(groups, 2)
    parts = [
        list(Steps(25, 8, seed=seed, start=start, stop=stop, rank=rank, size=world, micro=micro, grouping=grouping))
        for rank in range(world)
    ]
    per_step = 8 // (world * micro)
    steps = [[part[step * per_step : (step + 1) * per_step] for part in parts] for step in range(stop - start)]
    return [[key for number in range(per_step) for part in step for key in part[number]] for step in steps]


def test_images_of_one_group_stand_together():
    for batch in grouped_batches(world=1, micro=8):
        flags = [index % 3 == 0 for _, index in batch]
        assert flags[::2] == flags[1::2]
    epoch = [index for batch in grouped_batches(world=1, micro=8, stop=3) for _, index in batch]
    assert len(set(epoch)) >= 23, "a run that is filled up repeats an image"


def test_groups_do_not_depend_on_micro_batches_processes_or_where_training_begins():
    whole = grouped_batches(world=1, micro=8)
    assert whole == grouped_batches(world=2, micro=4) == grouped_batches(world=2, micro=2) == grouped_batches(1, 1)
    assert whole[5:] == grouped_batches(world=1, micro=8, start=5)
    assert whole != grouped_batches(world=1, micro=8, seed=1)


def test_a_group_of_one_image_fills_its_run_alone():
    batches = grouped_batches(world=1, micro=8, groups=[number == 0 for number in range(25)])
    pairs = [tuple(batch[place : place + 2]) for batch in batches for place in range(0, 8, 2)]
    alone = [pair for pair in pairs if any(index == 0 for _, index in pair)]
    assert alone and all(first == second for first, second in alone)


def test_which_images_stand_together_changes_with_the_epoch():
    runs = [
        {frozenset(index for _, index in batch[place : place + 2]) for batch in epoch for place in range(0, 8, 2)}
        for epoch in (grouped_batches(world=1, micro=8, start=first, stop=first + 3) for first in (0, 3))
    ]
    assert len(runs[0] & runs[1]) < len(runs[0]) / 2


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "tif")])
def test_pixels_are_read_as_stored_whatever_the_tag(kind, suffix, orientation, tmp_path):
    """By both readers: the loader's, and that of crops which the device resizes."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 32, 3)).astype(np.uint8)
    plain, tagged = tmp_path / f"plain.{suffix}", tmp_path / f"tagged.{suffix}"
    Image.fromarray(pixels).save(plain, kind)
    Image.fromarray(pixels).save(tagged, kind, exif=exif(orientation))
    expected = np.asarray(open_image(plain))
    assert expected.shape == (48, 32, 3)
    assert np.array_equal(np.asarray(open_image(tagged)), expected)
    assert np.array_equal(read_pixels(tagged).permute(1, 2, 0).numpy(), expected)


GREY16 = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("TIFF", "tif"), ("PPM", "pgm")])
def test_grey_pictures_of_16_bits_are_scaled_to_8(kind, suffix, tmp_path):
    """Pillow alone would cut all values above 255 to white."""
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY16).save(path, kind)
    found = np.asarray(open_image(path))
    assert np.array_equal(found, np.stack(3 * [GREY16 >> 8], axis=-1))
    assert np.array_equal(read_pixels(path).permute(1, 2, 0).numpy(), found)


@pytest.mark.parametrize(("dtype", "kind"), [(np.int32, "whole numbers"), (np.float32, "floating-point numbers")])
def test_pictures_of_32_bits_are_refused_by_name(dtype, kind, tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(GREY16.astype(dtype)).save(path)
    mode = "I" if dtype is np.int32 else "F"
    what = f"{kind} of 32 bits (mode {mode}), whose range is not known, expected 8 or 16 bits"
    with pytest.raises(DataError) as caught:
        open_image(path)
    assert str(caught.value) == f"{path}: {what}. Write the picture again with 8 bits a channel"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_pictures_of_8_bits_and_less_are_read_as_pillow_converts_them(mode, tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (16, 8, 3)).astype(np.uint8)
    image = Image.fromarray(colours).convert(mode)
    image.save(tmp_path / "a", "TIFF" if mode == "CMYK" else "PNG")
    assert np.array_equal(np.asarray(open_image(tmp_path / "a")), np.asarray(image.convert("RGB")))


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 8, 3)).astype(np.uint8)).quantize(8)
    image.save(tmp_path / "a.png", transparency=bytes(range(8)))
    assert np.array_equal(np.asarray(open_image(tmp_path / "a.png")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("read", [open_image, read_pixels])
def test_a_pipe_in_place_of_a_picture_is_an_error_and_no_wait(read, tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: neither a file nor a folder\. Run `caebench data check`"):
        read(tmp_path / "a.jpg")


@pytest.mark.parametrize("read", [open_image, read_pixels])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("limit", [20, 50])
def test_a_decompression_bomb_is_an_error_that_names_the_file(limit, suffix, read, tmp_path, monkeypatch):
    """Above twice Pillow's limit; above it, where warnings are errors."""
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (8, 8)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: cannot be read as an image (Image size (64 pixels) exceeds limit of ")


def test_a_jpeg_that_claims_more_than_it_has_takes_no_memory(tmp_path):
    """With `resize = "device"` libjpeg would get room for 65,500 x 65,500 pixels, 13 GB, before it sees the end."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path)
    content = path.read_bytes()
    size = content.index(b"\xff\xc0") + 5
    path.write_bytes(content[:size] + bytes.fromhex("ffdcffdc") + content[size + 4 :])
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image \(Image size \(4290250000"):
        read_pixels(path)


@pytest.mark.parametrize("size", [(600, 2), (2, 600), (600, 1), (1, 1)])
def test_a_picture_of_a_pixel_or_two_is_trained_on_and_evaluated(size):
    image = Image.new("RGB", size)
    for transform in (CropAndFlip(32, 0.08), CropAndFlip(32, 0.08, one_try=True), evaluation(32)):
        assert transform(image).shape == (3, 32, 32)
