"""A site file: its mistakes name the field and the nearest word, and its paths are expanded."""

import os
import pwd
from pathlib import Path

import pytest

from caebench.specs.site import Site, load_site

ONE_OF_SCALES = "input should be 'nano', 'lab', 'nano-real', 'lab-real' or 'paper'"
MISTAKES = {
    "unknown key": (
        "stor = '/a'",
        "unknown field 'stor'. Did you mean 'store'? Fields: store, scale, device",
    ),
    "unknown key of a section": (
        "[slurm]\npartitoin = 'gpu'",
        "unknown field 'slurm.partitoin'. Did you mean 'partition'? Fields: partition, minutes, warning_seconds",
    ),
    "unknown key of a stage": (
        "[slurm.stages.knn]\nminute = 3",
        "unknown field 'slurm.stages.knn.minute'. Did you mean 'minutes'? Fields: partition, nodes, gpus_per_node",
    ),
    "unknown asset": (
        "[assets]\ndalle_encode = '/a'",
        "unknown field 'assets.dalle_encode'. Did you mean 'dalle_encoder'? Fields: dalle_encoder, folder",
    ),
    "unknown scale": (
        "scale = 'nanoo'",
        f"field 'scale' is 'nanoo' (did you mean 'nano'?): {ONE_OF_SCALES}. Correct the file.",
    ),
    "unknown device": (
        "device = 'cude'",
        "field 'device' is 'cude' (did you mean 'cuda'?): input should be 'auto'",
    ),
    "unknown data set": (
        "[data]\nimagenet1 = '/a'",
        "[data.imagenet1]: data set 'imagenet1': unknown. Did you mean 'imagenet1k'?",
    ),
    "unknown variant": (
        "per_device_batch_of = { vit_x = 3 }",
        "field 'per_device_batch_of.vit_x' is 'vit_x' (did",
    ),
    "unknown stage": (
        "[slurm.stages.kn]\nminutes = 30",
        "field 'slurm.stages.kn' is 'kn': no kind of job. Did you mean 'knn'? Known: ",
    ),
    "true for a number": ("num_workers = true", "field 'num_workers' is True: input should be a valid integer"),
    "a table for a number": ("[num_workers]\na = 1", "field 'num_workers': input should be a valid integer"),
    "a number for a section": ("slurm = 3", "field 'slurm' is 3: input should be a valid"),
    "a warning beyond the slice": (
        "[slurm]\nminutes = 5\nwarning_seconds = 600",
        "field 'slurm': warning_seconds is 600, and a slice has 5 minutes (300 seconds): a job would be told to stop "
        "as soon as it starts. Give fewer seconds, or more minutes. Correct the file.",
    ),
    "a warning beyond a stage's slice": (
        "[slurm]\nwarning_seconds = 300\n[slurm.stages.knn]\nminutes = 5",
        "field 'slurm': stages.knn: warning_seconds is 300, and a slice has 5 minutes (300 seconds): a job would be",
    ),
    "not finite": ("checkpoint_minutes = nan", "field 'checkpoint_minutes' is nan: input should be a finite number"),
    "not TOML": ("[slurm", "not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 7)."),
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CAEBENCH_STORE", raising=False)
    (tmp_path / ".config/caebench/sites").mkdir(parents=True)
    return tmp_path


def write(home, text):
    path = home / ".config/caebench/sites/mine.toml"
    path.write_text(text, encoding="utf8")
    return path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_site_file_names_the_field_and_the_nearest_word(home, mistake):
    text, said = MISTAKES[mistake]
    path = write(home, f"{text}\n")
    with pytest.raises(ValueError, match=r"mine\.toml: ") as caught:
        load_site("mine")
    message = str(caught.value)
    assert message.startswith(f"{path}: {said}")
    assert "\n" not in message and "{" not in message


def test_a_long_value_is_cut(home):
    path = write(home, f"scale = '{'x' * 1_900}'\n")
    with pytest.raises(ValueError, match=r"mine\.toml: ") as caught:
        load_site("mine")
    said = f"field 'scale' is '{'x' * 56}...: {ONE_OF_SCALES}. Correct the file."
    assert str(caught.value) == f"{path}: {said}"


def test_an_unknown_site_is_named_with_its_neighbour(home):
    write(home, "")
    with pytest.raises(ValueError, match=r"mien\.toml: no such site\. Did you mean 'mine'\? Known: local, mine\. "):
        load_site("mien")


def test_an_empty_store_in_the_environment_is_none(home, monkeypatch):
    write(home, "store = '/a'\n")
    monkeypatch.setenv("CAEBENCH_STORE", "")
    assert str(load_site("mine").store) == "/a"
    assert load_site("local").store == Site().store


PATHS = """
store = "{0}/store"
shared_store = true
[data]
imagenet1k = "{0}/data"
[assets]
dalle_encoder = "{0}/encoder.pkl"
folder = "{0}/assets"
[slurm]
venv = "{0}/venv"
binds = ["{0}/a:/b"]
"""


@pytest.mark.parametrize("written", ["~", "$HOME", "${HOME}"])
def test_every_path_of_a_site_file_is_expanded(home, written):
    write(home, PATHS.format(written))
    site = load_site("mine")
    assert site.slurm is not None
    paths = [site.store, site.roots["imagenet1k"], site.assets.dalle_encoder, site.assets.folder, site.slurm.venv]
    assert paths == [home / name for name in ("store", "data", "encoder.pkl", "assets", "venv")]
    assert site.slurm.binds == (f"{home}/a:/b",)


def test_a_variable_that_is_not_set_is_named_with_its_field(home):
    path = write(home, "[data]\nimagenet1k = '$NOWHERE/imagenet'\n")
    with pytest.raises(ValueError, match=r"mine\.toml: ") as caught:
        load_site("mine")
    said = "the variable NOWHERE is not set. Set it, or write the path in full. Correct the file."
    assert str(caught.value) == (f"{path}: field 'data.imagenet1k' is '$NOWHERE/imagenet': '$NOWHERE/imagenet': {said}")


@pytest.mark.parametrize("home_of_all", [None, "/nowhere"])
def test_only_a_site_with_a_file_needs_a_home(monkeypatch, home_of_all):
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setenv("CAEBENCH_STORE", "/a")
    monkeypatch.delenv("HOME") if home_of_all is None else monkeypatch.setenv("HOME", home_of_all)
    assert load_site("local").store == Path("/a")
    with pytest.raises(ValueError, match=r"home folder ~ is not known\. Set HOME|/nowhere/.*mine\.toml: no such site"):
        load_site("mine")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"{}", b'{"a\\nb": 1}'])
def test_a_damaged_calibration_is_named_with_the_command_that_writes_it(home, content):
    path = write(home, "").with_name("mine.calibration.json")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.calibration\.json: ") as caught:
        load_site("mine")
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert message.endswith("`caebench bench calibrate --site mine` writes it again.")


@pytest.mark.parametrize("kind", ["pipe", "folder", "/dev/zero"])
def test_a_calibration_that_is_no_file_is_refused(home, kind):
    path = write(home, "").with_name("mine.calibration.json")
    {"pipe": lambda: os.mkfifo(path), "folder": path.mkdir}.get(kind, lambda: path.symlink_to(kind))()
    with pytest.raises(ValueError, match=r"mine\.calibration\.json: not a file\. Delete it: `caebench bench calibrate"):
        load_site("mine")
