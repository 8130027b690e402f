"""Stand-ins for SLURM's commands: shell scripts, which note how they were called."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

ACCEPTS = 'echo "Submitted batch job $$"'  # sbatch: a number that differs between calls


class FakeSlurm:
    """A folder of scripts that comes first on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin, self.calls_file = folder / "bin", folder / "calls"
        self.bin.mkdir()
        monkeypatch.setenv("PATH", str(self.bin), prepend=os.pathsep)

    def put(self, scripts: Mapping[str, str] | None = None, /, **more: str) -> None:
        """Write commands, each as the lines of a shell script."""
        for name, lines in {**(scripts or {}), **more}.items():
            path = self.bin / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.calls_file}"\n{lines}\n', encoding="utf8")
            path.chmod(0o755)

    def put_failing(self, name: str, times: int, then: str, said: str = "Unable to contact slurm controller") -> None:
        """Write a command that fails some times, and then runs these lines."""
        count = f'$(grep -c "^{name} " "{self.calls_file}")'
        self.put({name: f'if [ {count} -le {times} ]; then echo "{name}: error: {said}" >&2; exit 1; fi\n{then}'})

    def calls(self, name: str) -> list[str]:
        """The arguments of each call of a command."""
        lines = self.calls_file.read_text(encoding="utf8").splitlines() if self.calls_file.exists() else []
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]
