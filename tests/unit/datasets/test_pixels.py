"""Pixels are those in the file, whatever its EXIF orientation says."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from caebench.datasets.pixels import as_stored, orientation_of, size_error
from tests.pictures import exif, tag

PIXELS = np.random.default_rng(0).integers(0, 255, (6, 4, 3)).astype(np.uint8)
OPTIONS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def written(path, orientation, kind):
    Image.fromarray(PIXELS).save(path, kind, exif=exif(orientation), **OPTIONS[kind])
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_picture_is_never_turned(kind, orientation, tmp_path):
    """Pillow alone turns TIFF files, and no others."""
    with Image.open(written(tmp_path / "a", orientation, kind)) as image:
        assert orientation_of(image) == orientation
        stored = as_stored(image)
    assert stored.size == (4, 6) and np.array_equal(np.asarray(stored), PIXELS)


def test_a_damaged_or_foreign_tag_turns_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    for block in (b"Exif\0\0", b"Exif\0\0II*", b"Exif\0\0nonsense, long enough to be a head", exif(0).tobytes()):
        segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
        (tmp_path / "b.jpg").write_bytes(content[:2] + segment + content[2:])
        with Image.open(tmp_path / "b.jpg") as image:
            assert orientation_of(image) == 1 and as_stored(image).size == (4, 6), block


def test_another_size_is_an_error_that_names_file_and_tag(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path)
    untagged = size_error(path, (4, 6), (6, 4), "the annotations say", "Unpack it again")
    assert str(untagged) == f"{path}: 4x6 pixels, where the annotations say 6x4. Unpack it again"
    tag(path, 6)
    tagged = size_error(path, (4, 6), (6, 4), "the annotations say", "Unpack it again")
    assert tagged.what == "4x6 pixels stored, with EXIF orientation 6, where the annotations say 6x4"
    assert "ignored" in tagged.do and "write the picture again" in tagged.do


def test_these_files_would_be_turned_by_a_reader_that_obeys_the_tag(tmp_path):
    with Image.open(written(tmp_path / "a", 6, "PNG")) as image:
        assert ImageOps.exif_transpose(image).size == (6, 4)
