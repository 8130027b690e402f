"""The command line in this process, with a home and a store of its own, and stand-ins for SLURM's commands."""

from pathlib import Path

import pytest

import caebench.planning.scale as scales
from tests.fake_slurm import FakeSlurm
from tests.helpers import Answer, answer

CLUSTER = """
store = "{store}"
shared_store = true
[slurm]
partition = "gpu"
gpus_per_node = 1
"""


class Desk:
    """A home with the site `cluster` and the site `local`; the stores of both are not there yet."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.capsys, self.monkeypatch = home, capsys, monkeypatch
        self.store = home / "store"
        self.write_site("cluster", CLUSTER.format(store=self.store))
        self.write_site("local", f'store = "{self.store}"\n')

    def write_site(self, name: str, text: str) -> None:
        path = self.home / ".config" / "caebench" / "sites" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf8")

    def __call__(self, *arguments: str) -> Answer:
        return answer(arguments, self.capsys, self.monkeypatch)


@pytest.fixture
def desk(tmp_path, tiny, capsys, monkeypatch) -> Desk:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CAEBENCH_STORE", raising=False)
    monkeypatch.setitem(scales.SCALES, "nano", tiny)
    return Desk(tmp_path, capsys, monkeypatch)


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch) -> FakeSlurm:
    return FakeSlurm(tmp_path, monkeypatch)
