"""A JSON file that another program or a person has damaged is one line: which file, what is wrong, what to do."""

import re
from pathlib import Path

import pytest

from caebench.checkpoints import importing
from caebench.datasets import errors
from caebench.execution import assets, provenance, snapshot
from caebench.files.atomic import read_json
from caebench.files.layout import INPUTS, JOB, MADE_OF, MAPPING, PROVENANCE, RESULT
from caebench.files.result import read_result, read_whole
from caebench.store import records
from caebench.tasks import codes
from tests.wrong_forms import WHOLE

READERS = {  # the file's name, and what reads it from its folder
    "snapshot": (provenance.MARKER, lambda folder: snapshot.read_facts(folder)),
    "assets": (assets.RECORD, lambda folder: assets.noted(folder)),
    "import": (MAPPING, lambda folder: importing.read_record(folder)),
    "codes": (MADE_OF, lambda folder: codes._config_of(folder / MADE_OF)),
    "record in git": ("0123456789.json", lambda folder: records._read(folder / "0123456789.json")),
    "data set": ("instances_val2017.json", lambda folder: errors.read_json(folder / "instances_val2017.json", "Do")),
    "job": (JOB, lambda folder: read_whole(folder / JOB)),
    "provenance": (PROVENANCE, lambda folder: read_whole(folder / PROVENANCE)),
    "inputs": (INPUTS, lambda folder: read_whole(folder / INPUTS)),
    "result": (RESULT, lambda folder: read_result(folder)),
    "any": ("a.json", lambda folder: read_json(folder / "a.json")),
}
HARMLESS = {  # what these readers may take: a file without what they need, or any JSON
    "snapshot": (), "codes": (), "job": (), "record in git": (),
    "data set": ("null", "number", "list", "no object in it", "deep"),  # its own reader looks into it
}  # fmt: skip


CASES = [(reader, way) for reader in READERS for way in WHOLE if way not in HARMLESS.get(reader, ("no object in it",))]


@pytest.mark.parametrize(("reader", "way"), CASES)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, reader, way):
    name, read = READERS[reader]
    path: Path = tmp_path / name
    path.touch()
    WHOLE[way](path)
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        read(tmp_path)
    said = str(error.value)
    assert "\n" not in said and said.endswith((".", "Do")), said
