"""Files that are no checkpoints of PyTorch: what each is, by its first bytes or its name, and what to do. No torch."""

import re
import tarfile
from pathlib import Path

HEAD = 512  # bytes that are looked at
AGAIN = "Fetch it again."
UNPACK = "Unpack it, and give the checkpoint in it."
TAR = f"is a tar archive. {UNPACK}"
CONVERT = "Convert it to a state dict, and save that with torch.save."
KINDS = (  # a pattern of the first bytes -> what the file is, and what to do
    (rb"$", f"is empty. {AGAIN}"),
    (rb"\s*$", f"has only blanks. {AGAIN}"),
    (rb"\x00+$", f"begins with zeros alone, as a download that was never filled. {AGAIN}"),
    (
        rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|\?xml|!--)",
        "is a web page: the link led to a browser page, a login or an error. Fetch the file behind it.",
    ),
    (rb"version https://git-lfs\.github\.com/spec", "is a pointer of Git LFS. Fetch the file: git lfs pull"),
    (rb"[./]*(\.git)?/annex/objects/", "is a pointer of git-annex. Fetch the file: git annex get"),
    (rb"\x1f\x8b", f"is a gzip archive. {UNPACK}"),
    (rb"BZh[1-9]", f"is a bzip2 archive. {UNPACK}"),
    (rb"\xfd7zXZ\x00", f"is an xz archive. {UNPACK}"),
    (rb"\x28\xb5\x2f\xfd", f"is a zstd archive. {UNPACK}"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a", f"is a 7z or rar archive. {UNPACK}"),
    (rb".{257}ustar", TAR),
    (rb"\x89HDF\r\n\x1a\n", f"is an HDF5 file, as Keras and TensorFlow write it. {CONVERT}"),
    (rb"\x93NUMPY", f"is an array of NumPy. {CONVERT}"),
    (rb"model_checkpoint_path:", f"is the list of TensorFlow's checkpoints. {CONVERT}"),
    (rb"GGUF", f"is a GGUF file of llama.cpp. {CONVERT}"),
    (rb"\s*\{", "is a JSON table, no weights. Give the file with the weights."),
)
NAMES = (  # a pattern of the name -> the same, where the content has no mark
    (r"\.msgpack$", f"is a file of Flax. {CONVERT}"),
    (r"\.data-\d+-of-\d+$|\.ckpt(-\d+)?\.(index|meta)$|^saved_model\.pb$", f"is a file of TensorFlow. {CONVERT}"),
    (r"\.onnx$", f"is an ONNX model. {CONVERT}"),
    (r"\.(crdownload|part|partial|aria2|download)$", "is a download that is not finished. Fetch it again."),
)


def check_kind(path: Path) -> None:
    """Check that a file is none of these.

    Raises:
        ValueError: it is one.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    told = next((told for pattern, told in KINDS if re.match(pattern, head, re.DOTALL | re.IGNORECASE)), None)
    told = told or next((told for pattern, told in NAMES if re.search(pattern, path.name)), None)
    told = told or (TAR if _is_old_tar(path) else None)
    if told:
        raise ValueError(f"{path}: {told}")


def _is_old_tar(path: Path) -> bool:
    """Whether it is a tar archive without a mark: torch would make a temporary folder to unpack it to."""
    try:
        tarfile.open(path, "r:").close()
    except tarfile.TarError:
        return False
    return True
