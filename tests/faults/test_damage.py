"""Files that the disk has cut, or whose bits have flipped: never a wrong number, and never a word less than is needed.

Where a file is damaged is drawn with the seed that is printed; CAEBENCH_KILLS sets another.
"""

import shutil

import pytest

from caebench.execution.worker import run_job
from caebench.files.layout import (
    ATTEMPTS,
    CHECKPOINTS,
    ENCODER,
    FAILURE,
    HEARTBEAT,
    INPUTS,
    JOB,
    LEASE,
    METRICS,
    PROVENANCE,
    RESULT,
)
from caebench.files.result import read_result
from caebench.specs.site import Site
from caebench.store.judging import judge
from caebench.store.lease import acquire
from caebench.store.state import Statuses, attempts
from caebench.store.store import Store
from tests.helpers import last_step, longer, metrics, own_copy, read, variation

SITE = Site(device="cpu", checkpoint_minutes=1e-9)
WAYS = ("cut", "flipped")


def damage(path, way, draw):
    """Cut a file at any byte, or flip any of its bits."""
    content = bytearray(path.read_bytes())
    size = len(content)
    at = draw.randrange(size)
    if way == "cut":
        del content[at:]
    else:
        content[at] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    print(f"{path.name} {way} at byte {at} of {size}")


def status(bench, job):
    return Statuses(Store(bench.store)).of(bench.folder(job))


# ---- checkpoints ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pretraining(quickstart, bench):
    found = quickstart.job("pretrain", "cae-pixels")
    return variation(bench, found, longer(found))


@pytest.fixture
def halfway(bench, pretraining):
    """The folder of a pretraining that was killed, with two checkpoints; and that of its undisturbed run."""
    folder = bench.folder(pretraining)
    assert run_job(folder, bench.store, SITE) == "done"
    undisturbed = bench.set_aside(pretraining, "undisturbed")
    command = bench.start("run", "job", pretraining.id, "--site", "eager")
    assert command.wait_until(lambda: last_step(folder) >= 30), command.output
    command.process.kill()
    command.wait()
    assert len(list((folder / CHECKPOINTS).glob("*.pt"))) == 2
    return folder, undisturbed


def is_as_undisturbed(folder, undisturbed):
    ours, theirs = read_result(folder), read_result(undisturbed)
    same = [ours[name] == theirs[name] for name in ("metrics", "intervals", "files", "fingerprints")]
    return all(same) and metrics(folder) == metrics(undisturbed)


def tried(halfway, bench, draw, way, name="*.pt"):
    """Damage the newest checkpoint, and run to the end."""
    folder, undisturbed = halfway
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    newest = max((folder / CHECKPOINTS).glob(name))
    damage(newest, way, draw)
    assert run_job(folder, bench.store, SITE) == "done"
    assert is_as_undisturbed(folder, undisturbed)
    shutil.rmtree(folder)
    kept.rename(folder)


@pytest.mark.parametrize("way", [pytest.param("cut", marks=pytest.mark.slow), "flipped"])
def test_a_damaged_checkpoint_gives_the_undisturbed_bits(halfway, bench, kills, way):
    tried(halfway, bench, kills, way)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_wherever_a_checkpoint_is_damaged(halfway, bench, kills, injected, way):
    injected(20)
    for _ in range(20):
        tried(halfway, bench, kills, way)


@pytest.mark.slow
def test_all_checkpoints_damaged_is_a_failure_that_says_what_to_do(halfway, bench, pretraining, kills):
    folder, _ = halfway
    for path in (folder / CHECKPOINTS).glob("*.pt"):
        damage(path, "flipped", kills)
    assert run_job(folder, bench.store, SITE) == "failed"
    state, reason = status(bench, pretraining)
    assert state == "failed" and "no checkpoint can be read. Delete the job's folder to start again." in reason


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_damaged_lines_of_attempts_and_metrics_harm_no_number(halfway, bench, pretraining, kills, way):
    folder, undisturbed = halfway
    damage(folder / ATTEMPTS, way, kills)
    with (folder / METRICS).open("ab") as file:
        file.write(b'{"step": 99, "lo')  # after the checkpoint, as a kill leaves it
    assert status(bench, pretraining)[0] in ("paused", "running")
    assert bench.run("status", pretraining.id).process.exitcode == 0
    assert run_job(folder, bench.store, SITE) == "done"
    assert is_as_undisturbed(folder, undisturbed) and attempts(folder)[-1]["outcome"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_record_of_inputs_that_is_damaged_is_no_other_input(halfway, bench, pretraining, kills, way):
    """Which inputs the checkpoints come from cannot be known: it begins again, or fails and says so."""
    folder, undisturbed = halfway
    damage(folder / INPUTS, way, kills)
    outcome = run_job(folder, bench.store, SITE)
    assert (outcome == "failed" and INPUTS in status(bench, pretraining)[1]) or is_as_undisturbed(folder, undisturbed)


# ---- results --------------------------------------------------------------------------------------------------------


@pytest.fixture
def probe(quickstart, bench):
    """A finished k-NN in a folder of its own, on the finished encoder."""
    job = quickstart.job("knn", "cae-pixels")
    own_copy(bench, job)
    return job


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [RESULT, PROVENANCE])
def test_a_damaged_result_is_told_and_made_again(bench, probe, kills, name, way):
    folder = bench.folder(probe)
    before, path = read_result(folder), folder / name
    content = path.read_bytes()
    while status(bench, probe)[0] == "done":  # a flipped bit may change no number
        assert read_result(folder)["metrics"] == before["metrics"]
        path.write_bytes(content)
        damage(path, way, kills)
    state, reason = status(bench, probe)
    assert state == "damaged" and str(path) in reason
    shown = bench.run("status", probe.id)
    assert shown.process.exitcode == 0 and "damaged" in shown.output
    again = bench.run("run", "job", probe.id)
    assert again.process.exitcode == 0, again.output
    after = read_result(folder)
    assert [after[key] for key in ("metrics", "intervals")] == [before[key] for key in ("metrics", "intervals")]
    assert status(bench, probe) == ("done", "") and not (folder / f"{RESULT}.damaged").exists()


def test_a_damaged_result_is_in_no_table(bench, probe):
    (bench.folder(probe) / RESULT).write_bytes(b"{")
    shown = bench.run("report", "--suite", "quickstart", "--scale", "nano", "--json")
    assert shown.process.exitcode == 0, shown.output
    store = Store(bench.store)
    assert store.state(probe) == "damaged" and store.to_run([*probe.ancestors(), probe]) == [probe]


def test_dependents_of_a_damaged_result_wait_for_it_and_stay_if_they_are_done(quickstart, bench, probe):
    encoder = quickstart.job("pretrain", "cae-pixels")
    (own_copy(bench, encoder) / RESULT).write_bytes(b"")
    assert status(bench, encoder)[0] == "damaged" and status(bench, probe)[0] == "done"
    (bench.folder(probe) / RESULT).unlink()
    state, reason = status(bench, probe)
    assert state == "blocked" and f"{encoder.name} (damaged)" in reason


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_job_file_is_written_again_and_the_job_stays_done(bench, probe, kills, way):
    folder = bench.folder(probe)
    content, before = (folder / JOB).read_bytes(), (folder / RESULT).stat().st_mtime_ns
    (folder / JOB).write_bytes(content[: kills.randrange(len(content) - 2)] if way == "cut" else b"\xff" + content[1:])
    assert status(bench, probe)[0] == "damaged"
    store = Store(bench.store)
    store.mend([probe])
    assert store.state(probe) == "done" and read(folder / JOB)["id"] == probe.id
    assert (folder / RESULT).stat().st_mtime_ns == before


def test_a_job_whose_file_is_damaged_fails_with_that_where_nothing_can_write_it_again(bench, probe):
    folder = bench.folder(probe)
    (folder / RESULT).unlink()
    (folder / JOB).write_bytes(b"{")
    assert run_job(folder, bench.store, SITE) == "failed"
    assert f"{folder / JOB}: damaged" in read(folder / FAILURE)["error"] and not (folder / LEASE).exists()


@pytest.mark.parametrize("way", WAYS)
def test_an_encoder_file_that_has_changed_is_used_by_no_job(quickstart, bench, probe, kills, way):
    encoder = own_copy(bench, quickstart.job("pretrain", "cae-pixels"))
    damage(encoder / ENCODER, way, kills)
    (bench.folder(probe) / RESULT).unlink()
    assert run_job(bench.folder(probe), bench.store, SITE) == "failed"
    state, reason = status(bench, probe)
    assert state == "failed" and f"{encoder / ENCODER}: gone, or changed since written" in reason


def test_a_damaged_failure_is_still_a_failure(bench, probe):
    folder = bench.folder(probe)
    (folder / RESULT).unlink()
    (folder / FAILURE).write_bytes(b'{"err')
    assert status(bench, probe) == ("failed", "failure.json is damaged; the job's log has more")
    assert bench.run("status", probe.id).process.exitcode == 0


# ---- leases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_lease_of_a_dead_process_holds_nobody_up(bench, probe, kills, injected, way):
    injected(10)
    folder = bench.folder(probe)
    (folder / RESULT).unlink()
    for _ in range(10):
        acquire(folder)
        damage(folder / LEASE, way, kills)
        judge(folder / LEASE)  # whatever it says, it says something
        (folder / LEASE).unlink()
        (folder / HEARTBEAT).unlink(missing_ok=True)
    command = bench.run("run", "job", probe.id)
    assert command.process.exitcode == 0, command.output
