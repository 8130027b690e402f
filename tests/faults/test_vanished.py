"""Files and folders that vanish, or can no longer be written, before a job or during it: it fails and names what is
missing, or does without; and once that is back, or made again, the results are the undisturbed ones."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from caebench.files.layout import ENCODER, RESULT, WORLD
from tests.faults.chain import found_in, left_over, link_to, new_bench, of_kind, run_suite, start_suite, states
from tests.helpers import AS_ROOT, OTHER, last_step, open_folder

PROBES = ("knn", "linear_probe")
slow = pytest.mark.slow


def one_image(store):
    return sorted((of_kind(store, "data") / WORLD / "imagenet" / "train").rglob("*.JPEG"))[7]


GONE = {  # what vanishes, and whether the next run makes it again by itself
    "the encoder's result": (lambda store: of_kind(store, "pretrain") / RESULT, True),
    "the encoder's folder": (lambda store: of_kind(store, "pretrain"), True),
    "the data's result": (lambda store: of_kind(store, "data") / RESULT, True),
    "the data's folder": (lambda store: of_kind(store, "data"), True),
    "the encoder's file": (lambda store: of_kind(store, "pretrain") / ENCODER, False),
    "the world": (lambda store: of_kind(store, "data") / WORLD, False),
    "one image": (one_image, False),
}
FAST = ("the encoder's file", "one image")
NAMES = [one if one in FAST else pytest.param(one, marks=slow) for one in GONE]


def take_away(path: Path, place: Path) -> Path:
    """Move a file or folder to another place, which is returned."""
    place.mkdir(exist_ok=True)
    return path.rename(place / path.name)


def check_stopped(bench, command, *failed):
    """Check that a run ended with an error in words, and which jobs have failed."""
    assert command.process.exitcode == 1 and "Traceback" not in command.output, command.output
    found = states(bench.store)
    print(found)
    for kind in failed:
        assert found[kind][0] == "failed" and found[kind][1], found
    shown = bench.run("status")
    assert shown.process.exitcode == 0 and "Traceback" not in shown.output, shown.output
    assert left_over(bench.store) == []


def check_healed(bench, undisturbed):
    command = run_suite(bench)
    assert command.process.exitcode == 0, command.output
    assert found_in(bench.store) == found_in(undisturbed) and left_over(bench.store) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_input_that_vanishes_before_a_job(chain, undisturbed, tmp_path, name):
    find, is_made_again = GONE[name]
    shutil.copytree(undisturbed, chain.store)
    for kind in PROBES:
        shutil.rmtree(of_kind(chain.store, kind))
    path = find(chain.store)
    kept = take_away(path, tmp_path / "away")
    if not is_made_again:
        command = run_suite(chain)
        check_stopped(chain, command, *PROBES)
        folder = of_kind(chain.store, "pretrain" if name == "the encoder's file" else "data")
        assert all(str(folder) in states(chain.store)[kind][1] for kind in PROBES), states(chain.store)
        if name == "the world":
            assert f"A job rendered it: delete the folder {folder} and run" in states(chain.store)["knn"][1]
        kept.rename(path)
    check_healed(chain, undisturbed)


@pytest.mark.parametrize("name", ["the data's result", "the data's folder", "the world", "one image"])
@slow
def test_the_data_vanish_while_a_job_trains_on_them(chain, undisturbed, tmp_path, name):
    shutil.copytree(undisturbed / "data", chain.store / "data")
    path = GONE[name][0](chain.store)
    command = start_suite(chain)
    assert command.wait_until(lambda: trains(chain.store)), command.output
    kept = take_away(path, tmp_path / "away")
    if command.wait() != 0:
        check_stopped(chain, command)
        if path.exists():
            shutil.rmtree(path)
        kept.rename(path)
    check_healed(chain, undisturbed)


def trains(store):
    return any(last_step(folder) >= 10 for folder in (store / "pretrain").glob("*"))


@pytest.mark.parametrize("what", ["the store", pytest.param("the job's folder", marks=slow)])
def test_a_folder_that_is_written_to_vanishes(chain, undisturbed, tmp_path, what):
    link_to(undisturbed, chain.store, "data")
    command = start_suite(chain)
    assert command.wait_until(lambda: trains(chain.store)), command.output
    path = chain.store if what == "the store" else of_kind(chain.store, "pretrain")
    kept = take_away(path, tmp_path / "away")
    assert command.wait() in (1, 2), command.output
    assert "Traceback" not in command.output and "No such file" in command.output, command.output
    if path.exists():
        print("made again:", [str(one.relative_to(path)) for one in path.rglob("*")])
        assert not list(path.rglob(RESULT))
        shutil.rmtree(path)
    shown = chain.run("status")
    assert "Traceback" not in shown.output, shown.output
    kept.rename(path)
    check_healed(chain, undisturbed)


def set_modes(paths, of_folders, of_files):
    """Of all that is there: what was being written when the paths were listed is not."""
    for path in paths:
        with suppress(FileNotFoundError):
            path.chmod(of_folders if path.is_dir() else of_files)


@AS_ROOT
@slow
def test_a_store_that_becomes_read_only_while_a_job_trains(undisturbed):
    """For a user who is not root; then it may be written again."""
    with open_folder() as root:
        shutil.copytree(undisturbed / "data", root / "store" / "data")
        bench = new_bench(root / "store", root / "home", OTHER)
        for path in (root, *root.rglob("*")):
            os.chown(path, OTHER, OTHER)
        command = start_suite(bench)
        assert command.wait_until(lambda: trains(bench.store)), command.output
        folders = [path for path in (bench.store, *bench.store.rglob("*")) if path.is_dir()]
        files = [path for path in bench.store.rglob("*") if path.is_file()]
        set_modes([*folders, *files], 0o555, 0o444)
        assert command.wait() == 1, command.output
        assert "Traceback" not in command.output and "permission denied" in command.output.lower(), command.output
        assert bench.run("status").process.exitcode == 0
        set_modes([*folders, *files], 0o755, 0o644)
        assert states(bench.store)["pretrain"][0] in ("failed", "paused")
        check_healed(bench, undisturbed)
