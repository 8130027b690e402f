"""The finished suites that the faults strike: the one of the end-to-end tests, and a chain."""

from pathlib import Path

import pytest

from tests.e2e.conftest import bench as bench
from tests.e2e.conftest import once_a_run
from tests.e2e.conftest import quickstart as quickstart
from tests.faults.chain import new_bench, run_suite
from tests.helpers import Bench


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a chain that no fault has struck."""

    def make(root: Path) -> None:
        command = run_suite(new_bench(root / "store", root / "home"))
        assert command.process.exitcode == 0, command.output

    return once_a_run(tmp_path_factory, "chain", make) / "store"


@pytest.fixture
def chain(tmp_path: Path) -> Bench:
    """An empty store, and the suite to run on it."""
    return new_bench(tmp_path / "store", tmp_path / "home")
