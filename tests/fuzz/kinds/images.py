"""Pictures in every format that a reader takes, damaged in their bytes, and in the numbers that formats rely on."""

import io
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz.case import Case, Content
from tests.fuzz.damage import damaged, no_file
from tests.fuzz.kinds.base import Files
from tests.pictures import exif

SIDE = 24
SAVED = {  # name -> mode, and how Pillow saves it
    "a.jpg": ("RGB", {"format": "JPEG"}),
    "progressive.jpg": ("RGB", {"format": "JPEG", "progressive": True}),
    "gray.jpg": ("L", {"format": "JPEG"}),
    "cmyk.jpg": ("CMYK", {"format": "JPEG"}),
    "turned.jpg": ("RGB", {"format": "JPEG", "exif": exif(6)}),
    "a.png": ("RGB", {"format": "PNG"}),
    "alpha.png": ("RGBA", {"format": "PNG"}),
    "palette.png": ("P", {"format": "PNG", "transparency": 3}),
    "deep.png": ("I;16", {"format": "PNG"}),
    "a.webp": ("RGB", {"format": "WEBP"}),
    "a.bmp": ("RGB", {"format": "BMP"}),
    "a.tif": ("RGB", {"format": "TIFF", "exif": exif(3)}),
    "packed.tif": ("RGB", {"format": "TIFF", "compression": "tiff_lzw"}),
    "float.tif": ("F", {"format": "TIFF"}),
    "a.gif": ("P", {"format": "GIF"}),
    "a.ppm": ("RGB", {"format": "PPM"}),
    "a.pgm": ("L", {"format": "PPM"}),
}
ROOT = "data/imagenet"
CLASSES = ("n01440764", "n01443537")
PICTURE, LABELS = "data/scene.jpg", "data/scene.png"
SIZES = (0, 1, 2, 23, 25, 255, 4096, 20_000, 65_535, 2**20, 2**31 - 1, 2**32 - 1)
VERBS = (
    *(("@image", "{}"), ("@image", "{}"), ("@scene", f"../{PICTURE}", f"../{LABELS}")),
    *(
        ("data", "check", "imagenet1k", "--root", f"../{ROOT}"),
        ("data", "check", "imagenet1k", "--root", f"../{ROOT}", "--json"),
    ),
)


class Images:
    """Pictures."""

    name = "images"
    needs_torch = True

    def base(self, scratch: Path) -> Files:
        formats = {f"data/formats/{name}": _saved(mode, **options) for name, (mode, options) in SAVED.items()}
        sound = formats["data/formats/a.jpg"]
        places = [f"{ROOT}/{split}/{name}/{split}_{name}.JPEG" for split in ("train", "val") for name in CLASSES]
        labels = io.BytesIO()
        Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) % 6).save(labels, format="PNG")
        return {**formats, **dict.fromkeys(places, sound), PICTURE: sound, LABELS: labels.getvalue()}

    def case(self, rng: Random, base: Files) -> Case:
        seeds = {name: content for name, content in base.items() if name.startswith("data/formats/")}
        words = rng.choice(VERBS)
        if words[0] == "@scene":
            name = rng.choice([PICTURE, LABELS])
        elif words[0] == "@image":
            name = "work/x.JPEG"
        else:
            name = rng.choice([name for name in base if name.startswith(ROOT)])
        seed = base[LABELS] if name == LABELS and rng.random() < 0.8 else seeds[rng.choice(list(seeds))]
        return Case(self.name, tuple(word.format(f"../{name}") for word in words), {name: _content(rng, seed, seeds)})


def _saved(mode: str, **options: object) -> bytes:
    """A picture of smooth colours and some noise."""
    draw = np.random.default_rng(0)
    grid = np.linspace(0, 200, SIDE)
    pixels = np.stack(
        [grid[:, None] + grid[None] * 0.2, grid[None] + 0 * grid[:, None], draw.uniform(0, 200, (SIDE, SIDE))]
    )
    image = Image.fromarray(pixels.transpose(1, 2, 0).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, **options)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def _content(rng: Random, seed: bytes, seeds: Files) -> Content:
    draw = rng.random()
    if draw < 0.05:
        return no_file(rng)
    if draw < 0.55:
        return damaged(rng, seed, list(seeds.values()))
    if seed.startswith(b"\x89PNG"):
        return _png(rng, seed)
    if seed.startswith(b"\xff\xd8"):
        return _jpeg(rng, seed)
    return _numbers(rng, seed)


def _png(rng: Random, seed: bytes) -> bytes:
    """The chunks with one changed, left out, doubled or added; every checksum fits."""
    chunks, at = [], 8
    while at < len(seed):
        (length,) = struct.unpack_from(">I", seed, at)
        chunks.append((seed[at + 4 : at + 8], seed[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(rng.choice([1, 1, 2])):
        number, action = rng.randrange(len(chunks)), rng.randrange(5)
        kind, data = chunks[number]
        if action == 0:
            width, height = rng.choice(SIZES), rng.choice([*SIZES, SIDE])
            chunks[0] = (b"IHDR", struct.pack(">II", width, height) + chunks[0][1][8:])
        elif action == 1:
            chunks[number] = (kind, damaged(rng, data, [data or b"x"]) if data else b"x")
        elif action == 2:
            chunks.pop(number) if len(chunks) > 2 else None
        elif action == 3:
            chunks.insert(number, chunks[rng.randrange(len(chunks))])
        else:
            chunks.insert(1, rng.choice(_added()))
    return seed[:8] + b"".join(_chunk(kind, data) for kind, data in chunks)


def _added() -> list[tuple[bytes, bytes]]:
    bomb = zlib.compress(bytes(10**7))
    return [
        *[(b"zTXt", b"x\x00\x00" + bomb), (b"iCCP", b"x\x00\x00" + bomb), (b"iTXt", b"x\x00\x01\x00\x00\x00" + bomb)],
        *[(b"tEXt", b"k\x00\x1b[2J"), (b"eXIf", b"II*\x00\x08\x00\x00\x00\xff\xff"), (b"acTL", b"\xff" * 8)],
        *[(b"PLTE", b"\x00" * 5), (b"tRNS", b"\x00" * 300), (b"gAMA", b"\x00" * 4), (b"fdAT", b"\x00" * 9)],
    ]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _jpeg(rng: Random, seed: bytes) -> bytes:
    """The size in the frame's header changed, or a segment added, left out, or damaged."""
    segments, at = [], 2
    while at < len(seed) and seed[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", seed, at + 2)
        segments.append(seed[at : at + 2 + length])
        at += 2 + length
    number, action = rng.randrange(len(segments)), rng.randrange(5)
    frame = next(index for index, one in enumerate(segments) if one[1] in (0xC0, 0xC2))
    if action == 0:
        sizes = [rng.choice([size for size in SIZES if size < 65_536]) for _ in range(2)]
        segments[frame] = segments[frame][:5] + struct.pack(">HH", *sizes) + segments[frame][9:]
    elif action == 1:
        segments[number] = segments[number][:4] + damaged(rng, segments[number][4:], [seed])
    elif action == 2:
        segments.pop(number)
    elif action == 3:
        block = b"Exif\0\0" + damaged(rng, exif(6).tobytes()[6:], [seed])
        segments.insert(0, b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block)
    else:
        segments.insert(number, segments[rng.randrange(len(segments))] * rng.choice([1, 200]))
    return seed[:2] + b"".join(segments) + seed[at:]


def _numbers(rng: Random, seed: bytes) -> bytes:
    """A number of two or four bytes near the beginning changed: a size, a count, an offset; and the text of a PPM."""
    if seed[:1] == b"P":
        sizes = b"%d %d" % (rng.choice(SIZES), rng.choice([*SIZES, SIDE]))
        return seed.replace(b"24 24", sizes, 1).replace(
            b"255", rng.choice([b"0", b"255", b"65535", b"-1", b"999999"]), 1
        )
    content = bytearray(seed)
    for _ in range(rng.choice([1, 1, 2])):
        near = len(content) if seed[:2] == b"II" else min(len(content), 60)
        kind = rng.choice(["<I", "<H", ">I"])
        at = rng.randrange(max(1, near - 4))
        struct.pack_into(kind, content, at, rng.choice(SIZES) % (2**16 if kind == "<H" else 2**32))
    return bytes(content)
