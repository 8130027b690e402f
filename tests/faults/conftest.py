"""The finished suite that the faults strike, a store of links to it, and seeds: those of the end-to-end tests.

A run ends with the number of faults that were injected, and of those after which something was lost or wrong.
"""

from pathlib import Path

import pytest

from tests.e2e.conftest import bench as bench
from tests.e2e.conftest import fork_server as fork_server
from tests.e2e.conftest import forked_workers as forked_workers
from tests.e2e.conftest import kills as kills
from tests.e2e.conftest import one_thread as one_thread
from tests.e2e.conftest import quickstart as quickstart

HERE = Path(__file__).parent.name
FAULTS = "faults"


@pytest.fixture
def injected(request):
    """Counts the faults of a test that injects several; any other injects one."""
    return lambda number: request.node.user_properties.append((FAULTS, number))


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
