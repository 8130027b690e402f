"""A heartbeat goes on while its process lives, whatever it does, and spares other holders' jobs."""

import os
import subprocess
import sys
import time

from caebench.files.layout import HEARTBEAT
from caebench.store.heartbeat import BEATS, beating
from tests.helpers import PATIENCE

BUSY = """
import sys, time
from pathlib import Path
from caebench.store.heartbeat import BEATS, beating
with beating([Path(sys.argv[1])], lambda folder: True, 0.02 * BEATS):
    print("begun", flush=True)
    while True:  # as a long evaluation: it never comes back to whoever would tell of progress
        sum(range(100_000))
"""


def beats_after(path, moment):
    """Whether there is a heartbeat after a moment, soon."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if path.exists() and path.stat().st_mtime > moment:
            return True
        time.sleep(0.01)
    return False


def test_it_goes_on_in_a_busy_process_and_ends_with_it(tmp_path):
    path = tmp_path / HEARTBEAT
    child = subprocess.Popen([sys.executable, "-c", BUSY, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"begun\n"
    assert beats_after(path, time.time()) and beats_after(path, time.time())
    child.kill()
    child.communicate()
    last = path.stat().st_mtime
    time.sleep(0.2)
    assert path.stat().st_mtime == last


def test_it_spares_jobs_that_are_held_by_others(tmp_path):
    ours, lost = tmp_path / "ours", tmp_path / "lost"
    for folder in (ours, lost):
        folder.mkdir()
    with beating([lost, ours], lambda folder: folder == ours, 0.02 * BEATS):
        assert beats_after(ours / HEARTBEAT, time.time())
    assert not (lost / HEARTBEAT).exists()
    last = (ours / HEARTBEAT).stat().st_mtime
    time.sleep(0.1)
    assert (ours / HEARTBEAT).stat().st_mtime == last, "it has ended"


def test_a_file_server_that_is_away_is_tried_again(tmp_path, caplog):
    folder = tmp_path / "later"
    with beating([folder], lambda _: True, 0.02 * BEATS):
        end = time.monotonic() + PATIENCE
        while "no heartbeat" not in caplog.text and time.monotonic() < end:
            time.sleep(0.01)
        folder.mkdir()
        assert beats_after(folder / HEARTBEAT, 0.0)
    assert os.listdir(folder) == [HEARTBEAT]
