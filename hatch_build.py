"""What a wheel or an sdist is built from: its commit goes into `caebench/build.json`, for the provenance of results."""

import json
import subprocess  # nosec B404 # lists of arguments, never a shell
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FACTS = "caebench/build.json"
CODE = ("caebench", "suites", "pyproject.toml", "requirements.lock")  # as in caebench.execution.provenance


class CommitHook(BuildHookInterface):
    """Adds the file; a build from an sdist has it already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Ask git, before files are collected."""
        if version == "editable" or (Path(self.root) / FACTS).exists():
            return
        commit, changes = self._git("rev-parse", "HEAD"), self._git("status", "--porcelain", "--", *CODE)
        written = Path(self.directory) / "build.json"
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps({"commit": commit, "dirty": bool(changes)}), encoding="utf8")
        build_data["force_include"][str(written)] = FACTS
        self._written = written

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was written next to the artefact."""
        if (written := getattr(self, "_written", None)) is not None:
            written.unlink()

    def _git(self, *arguments: str) -> str | None:
        """Git's answer; None where the source is in no repository, so that nothing says which commit it was."""
        if not (Path(self.root) / ".git").exists():
            return None
        command = ["git", *arguments]
        return subprocess.run(  # nosec B603 # our own words
            command, cwd=self.root, capture_output=True, check=True, text=True
        ).stdout.strip()
