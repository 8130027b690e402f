"""Git's answers, about caebench's own checkout and those of plug-ins."""

import os
import subprocess  # nosec B404 # lists of arguments, never a shell
from pathlib import Path

REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")  # a git hook's, of another repository


def run_git(folder: Path, *arguments: str) -> bytes:
    """Git's answer about the repository that a folder is in.

    Raises:
        ValueError: git is not installed, or it refuses.
    """
    environment = {name: value for name, value in os.environ.items() if name not in REDIRECTING}
    command = ["git", "--no-optional-locks", *arguments]  # `status` would write the index, and block another's commit
    try:
        return subprocess.run(  # nosec B603 # our own words in a folder that is ours or the user's, without a shell
            command, cwd=folder, env=environment, capture_output=True, check=True
        ).stdout
    except OSError as error:
        raise ValueError(f"{folder}: git cannot be run ({error.strerror}), so the commit is unknown") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split()) or f"exit status {error.returncode}"
        raise ValueError(f"{folder}: git {arguments[0]} failed: {said}") from error


def text_of(answer: bytes) -> str:
    """An answer as text, without the spaces around it."""
    return answer.decode(errors="surrogateescape").strip()
