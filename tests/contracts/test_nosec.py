"""What bandit reports is mended, or left with its reason at the line: `# nosec B404 # why`."""

import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
REASONED = re.compile(r"# nosec( B\d{3})+ # \S.{9,}")


def comments(path: Path) -> list[str]:
    with tokenize.open(path) as file:
        return [token.string for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]


def test_every_exception_names_its_rule_and_its_reason():
    found = [text for path in (ROOT / "caebench").rglob("*.py") for text in comments(path) if "nosec" in text]
    assert found and [text for text in found if not REASONED.fullmatch(text)] == []


def test_a_rule_that_is_skipped_everywhere_has_its_reason_next_to_it():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    skipped = tomllib.loads(text)["tool"]["bandit"]["skips"]
    assert all(re.search(rf'^    "{rule}",  # \S.{{9,}}$', text, re.MULTILINE) for rule in skipped)
    assert set(tomllib.loads(text)["tool"]["bandit"]) == {"skips"}, "no folder, and no level, is left out"


def test_bandit_finds_nothing_else():
    command = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--configfile", "pyproject.toml", "caebench"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stdout + done.stderr
