"""What the faults strike: the suite of the end-to-end tests, finished, in a store of links; and a chain of jobs.

A run ends with the number of faults that were injected, and of those after which something was lost or wrong.
"""

from pathlib import Path

import pytest

from tests.e2e.conftest import bench as bench
from tests.e2e.conftest import fork_server as fork_server
from tests.e2e.conftest import forked_workers as forked_workers
from tests.e2e.conftest import kills as kills
from tests.e2e.conftest import once_a_run
from tests.e2e.conftest import one_thread as one_thread
from tests.e2e.conftest import quickstart as quickstart
from tests.faults.chain import new_bench, run_suite
from tests.helpers import Bench

HERE = Path(__file__).parent.name
FAULTS = "faults"


@pytest.fixture
def injected(request):
    """Counts the faults of a test that injects several; any other injects one."""
    return lambda number: request.node.user_properties.append((FAULTS, number))


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


def pytest_terminal_summary(terminalreporter):
    """How many faults were survived: a test that fails has lost all of its own."""
    counts = {}
    for outcome in ("passed", "failed"):
        reports = [one for one in terminalreporter.getreports(outcome) if one.when == "call" and HERE in one.nodeid]
        own = [sum(number for name, number in one.user_properties if name == FAULTS) or 1 for one in reports]
        counts[outcome] = sum(own)
    if any(counts.values()):
        lost, survived = counts["failed"], counts["passed"]
        terminalreporter.line(f"faults injected: {lost + survived}, survived: {survived}, lost: {lost}")
