"""Files of other kinds are named as what they are, with what to do."""

import gzip
import io
import re
import tarfile

import pytest

from caebench.checkpoints import load_encoder


def tar(content=b"x"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("mae.pth")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def old_tar():
    """As programs wrote it before POSIX: without the mark of later ones."""
    header = bytearray(tar()[:512])
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + tar()[512:]


CONVERT = "Convert it to a state dict, and save that with torch.save."
UNPACK = "Unpack it, and give the checkpoint in it."
PAGE = "is a web page: the link led to a browser page, a login or an error. Fetch the file behind it."
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FILES = [
    ("x.pth", b"", "is empty. Fetch it again."),
    ("x.pth", b" \n\n", "has only blanks. Fetch it again."),
    ("x.pth", b"\n<!DOCTYPE html><html>Not found</html>", PAGE),
    ("x.safetensors", b"\xef\xbb\xbf<HTML lang=en>", PAGE),
    ("x.pth", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", PAGE),
    ("x.pth", LFS, "is a pointer of Git LFS. Fetch the file: git lfs pull"),
    ("x.pth", b"/annex/objects/SHA256E-s12--ab.pth\n", "is a pointer of git-annex. Fetch the file: git annex get"),
    ("x.pth", gzip.compress(b"weights", mtime=0), f"is a gzip archive. {UNPACK}"),
    ("x.pth.tar", tar(), f"is a tar archive. {UNPACK}"),
    ("x.pth.tar", old_tar(), f"is a tar archive. {UNPACK}"),
    ("x.pth", bytes(1000), "begins with zeros alone, as a download that was never filled. Fetch it again."),
    ("x.pth", b"\xfd7zXZ\x00\x00", f"is an xz archive. {UNPACK}"),
    ("x.h5", b"\x89HDF\r\n\x1a\n\x00", f"is an HDF5 file, as Keras and TensorFlow write it. {CONVERT}"),
    ("flax_model.msgpack", b"\xde\x00\x10", f"is a file of Flax. {CONVERT}"),
    ("vit.ckpt.data-00000-of-00001", b"\x00\x01\x02", f"is a file of TensorFlow. {CONVERT}"),
    ("vit.ckpt-1000.index", b"\x00\x01\x02", f"is a file of TensorFlow. {CONVERT}"),
    ("checkpoint", b'model_checkpoint_path: "vit.ckpt-1"', f"is the list of TensorFlow's checkpoints. {CONVERT}"),
    ("model.safetensors.index.json", b'{"weight_map": {}}', "is a JSON table, no weights. Give the file with the"),
    ("x.pth.part", b"\x80\x02", "is a download that is not finished. Fetch it again."),
]


@pytest.mark.parametrize(("name", "content", "said"), FILES)
def test_a_file_of_another_kind_is_named_with_what_to_do(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{tmp_path / name}: {said}')}"):
        load_encoder(tmp_path / name)


def test_a_link_to_content_that_is_not_here_says_so(tmp_path):
    (tmp_path / "x.pth").symlink_to(".git/annex/objects/ab/x.pth")
    with pytest.raises(ValueError, match=r"x\.pth: a link to \.git/annex/objects/ab/x\.pth, which does not exist\."):
        load_encoder(tmp_path / "x.pth")
