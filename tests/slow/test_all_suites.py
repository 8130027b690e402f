"""Every suite at nano scale, from an empty store, through the command line."""

import json
import subprocess
import sys
import time

import pytest

from caebench.suites import loading as suites

LIMIT = 90 * 60  # seconds, on two cores


@pytest.mark.slow
def test_every_cell_that_can_run_is_filled(tmp_path):
    def ask(*arguments: str) -> str:
        command = [sys.executable, "-m", "caebench", *arguments, "--scale", "nano", "--store", str(tmp_path / "store")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    started = time.monotonic()
    ask("run", "suite", "all")
    took = time.monotonic() - started
    print(f"all suites: {took / 60:.1f} minutes")
    reports = json.loads(ask("report", "--all", "--json", "--out", str(tmp_path / "tables")))
    assert [report["suite"] for report in reports] == suites.names()
    quoted = {(table.name, row.label) for table in map(suites.load, suites.names()) for row in table.rows if row.quoted}
    for report in reports:
        for cell in report["cells"]:
            expected = "quoted" if (report["suite"], cell["row"]) in quoted else "done"
            assert cell["state"] == expected, (report["suite"], cell["row"], cell["header"])
    assert took < LIMIT
