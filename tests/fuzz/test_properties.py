"""Properties of the parsers, for whatever Hypothesis thinks of: a mistake is one line, and text stays text."""

import json
import re
import string
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from caebench.checkpoints.archive import check_archive
from caebench.files.forms import FORMS
from caebench.files.layout import FAILURE
from caebench.files.paths import expand_text
from caebench.files.result import damage, intact
from caebench.files.toml import brief, read_toml
from caebench.files.visible import in_one_line, visible
from caebench.report.latex import escape
from caebench.report.render import _literal as markdown_cell
from caebench.specs.site import load_site
from caebench.suites.claims import CellName
from caebench.suites.loading import read as read_suite
from caebench.suites.published.sets import parse
from tests.fuzz.kinds.checkpoints import zipped
from tests.fuzz.kinds.sites import HERE
from tests.fuzz.kinds.suites import SMALL
from tests.fuzz.values import toml_text

OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
bounded = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
texts = st.text(max_size=30) | st.sampled_from(["\x1b[31m", "\u202e", "[red]", "$HOME", "..", "/", "a\rb", "\x7f"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


def outcome(call: Callable[[], Any]) -> str:
    """A user's mistake in its words; nothing where there was none. Any other error is the test's."""
    try:
        call()
    except (ValueError, OSError) as error:
        return visible(str(error))
    return ""


# ---- text that is shown ---------------------------------------------------------------------------------------------


def obeyed(text: str, keep: str = "") -> list[str]:
    """The characters that a terminal may obey in place of printing them."""
    return [char for char in text if unicodedata.category(char) in OBEYED and char not in keep]


@bounded
@given(st.text())
def test_visible_text_has_nothing_that_a_terminal_obeys(text):
    shown = visible(text)
    assert not obeyed(shown, keep="\n\t")
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


@bounded
@given(st.text())
def test_a_text_in_one_line_is_one(text):
    assert not obeyed(in_one_line(text), keep="\t") and in_one_line(in_one_line(text)) == in_one_line(text)
    assert "\n" not in brief(text) and len(brief(text)) <= 60


@bounded
@given(st.text(alphabet=st.characters() | st.sampled_from("\\{}$&#^_%~[]*")))
@example("\\input{/etc/passwd}")
def test_latex_text_starts_no_command_of_its_own(text):
    made = escape(text)
    assert made.isascii() and "\n" not in made
    commands = set(re.findall(r"\\([A-Za-z]+)", made))
    assert commands.isdisjoint({"input", "write", "include", "def", "csname", "openout", "immediate"})
    plain = re.sub(r"\\[{}]", "", made)
    assert plain.count("{") == plain.count("}")
    assert not re.search(r"(?<!\\)[&#%_]", made)


@bounded
@given(st.text(alphabet=st.characters() | st.sampled_from("|<>*_`[]\\&!")))
@example("| a | b |\n")
@example("<script>x</script>")
def test_a_markdown_cell_is_one_cell_of_plain_text(text):
    made = markdown_cell(text)
    assert not obeyed(made)
    assert not re.search(r"(?<!\\)(\\\\)*\|", made), "a bar would begin another cell"
    assert not re.search(r"(?<!\\)<[a-zA-Z/!]", made), "HTML would be read as such"


# ---- what users write -----------------------------------------------------------------------------------------------


@bounded
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_toml_is_read_or_refused_in_one_line(tmp_path, content):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    said = outcome(lambda: read_toml(path))
    assert said == "" or (said.startswith(f"{path}: ") and said.endswith("Correct the file.") and "\n" not in said)


@bounded
@given(place=st.sampled_from(["source", "pretrain", "columns", "rows", "claims", "notes", "x"]), value=values)
def test_any_value_in_a_suite_is_read_or_refused_with_the_file(tmp_path, place, value):
    path = tmp_path / "x.toml"
    path.write_bytes(toml_text({**tomllib.loads(SMALL.decode()), place: value}).encode(errors="replace"))
    said = outcome(lambda: read_suite(path))
    assert said == "" or said.startswith(f"{path}")


SITE_FIELDS = st.sampled_from(
    ["store", "scale", "device", "data", "assets", "slurm", "num_workers", "calibration", "x"]
)


@bounded
@given(place=SITE_FIELDS, value=values)
def test_any_value_in_a_site_is_read_or_refused_with_the_file(tmp_path, monkeypatch, place, value):
    folder = tmp_path / ".config" / "caebench" / "sites"
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    site = {**tomllib.loads(HERE.decode()), place: value}
    (folder / "mine.toml").write_bytes(toml_text(site).encode(errors="replace"))
    said = outcome(lambda: load_site("mine"))
    assert said == "" or (str(folder / "mine.toml") in said and "\n" not in said)


@bounded
@given(texts)
def test_a_path_is_filled_in_or_refused(text):
    said = outcome(lambda: expand_text(text))
    assert said == "" or "is not set" in said or "is not known" in said


@bounded
@given(st.text())
@example("a:b/c")
@example("\n/\n")
def test_a_cell_of_a_claim_is_named_or_refused(text):
    said = outcome(lambda: CellName.parse(text))
    if not said:
        found = CellName.parse(text)
        assert text.endswith(f"{found.row}/{found.column}")


@bounded
@given(st.text(alphabet=string.printable + "é\x00\u2028"), st.floats() | texts)
def test_published_numbers_are_finite_or_refused(text, number):
    def read() -> None:
        found = parse("x", f"row_id,metric,value,method\na,LIN,{number},{text}\n", "x.csv")
        assert all(one.value is None or abs(one.value) < float("inf") for one in found.numbers.values())

    said = outcome(read)
    assert said == "" or said.startswith("x.csv, line ")


# ---- what jobs write ------------------------------------------------------------------------------------------------


@bounded
@given(name=st.sampled_from(sorted(FORMS)), content=values | st.fixed_dictionaries({"metrics": values}))
def test_any_json_in_a_jobs_folder_is_sound_or_damage(tmp_path, name, content):
    folder = tmp_path / "x"
    folder.mkdir(exist_ok=True)
    for other in FORMS:
        (folder / other).unlink(missing_ok=True)
    (folder / name).write_text(json.dumps(content))
    wrong = damage(folder) if name != FAILURE else None
    assert wrong is None or wrong.startswith(f"{folder / name}: ")
    assert isinstance(intact(folder, name), dict) and (wrong is None or intact(folder, name) == {})


NAMES = (
    st.sampled_from(["archive/data.pkl", "archive/version", "archive/data/0", "../x", "/x", "x\x1b", "x.npy"]) | texts
)


@bounded
@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=4), st.binary(max_size=40), st.booleans())
def test_an_archive_is_sound_or_refused_in_one_line(tmp_path, entries, tail, is_cut):
    path: Path = tmp_path / "x.pth"
    made = zipped(entries, 0)
    path.write_bytes(made[: len(made) // 2] if is_cut else made + tail)
    said = outcome(lambda: check_archive(path))
    assert said == "" or (said.startswith(f"{path}: ") and "\n" not in said)
