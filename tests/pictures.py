"""Pictures with an EXIF orientation, made by tests: the pixels in the file stay as they are."""

from pathlib import Path

from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block


def tag(path: Path, orientation: int) -> None:
    """Write the orientation into a JPEG file: a segment after its first two bytes, and nothing else changes."""
    content, block = path.read_bytes(), exif(orientation).tobytes()
    assert content[:2] == b"\xff\xd8" and block[:6] == b"Exif\0\0"
    path.unlink()  # the file may be a link
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + content[2:])


def tag_all(root: Path, orientation: int) -> int:
    """Tag every JPEG file below a folder; returns how many there are."""
    paths = [path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]
    for path in paths:
        tag(path, orientation)
    return len(paths)


def write_folder(root: Path, folders: dict[str, int]) -> None:
    """Small pictures `0.png`, `1.png`, ... in folders below a root, as many as each has."""
    for folder, number in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(number):
            shade = sum(folder.encode()) * 7 % 200 + index
            Image.new("RGB", (24, 20), (shade % 256, 90, 250 - shade % 250)).save(root / folder / f"{index}.png")
