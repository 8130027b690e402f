"""A site file out of what SLURM says, and the check of a site from inside its jobs."""

import pytest

from caebench.cli.site import check, init
from tests.schemas import SCHEMAS


@pytest.mark.slow
def test_a_site_is_described_and_checked_from_inside(login, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    init("mine", tmp_path / "store")
    path = tmp_path / ".config" / "caebench" / "sites" / "mine.toml"
    text = path.read_text()
    assert 'partition = "main"' in text and "gpus_per_node = 2" in text
    with pytest.raises(ValueError, match="already exists"):
        init("mine", tmp_path / "store")
    path.write_text(f'device = "cpu"\nshared_store = true\n{text}'.replace("gpus_per_node = 2", "gpus_per_node = 0"))
    for name in ("SLURM_MEM_PER_CPU", "SLURM_MEM_PER_NODE"):  # as inside an allocation; srun refuses both at once
        monkeypatch.setenv(name, "100")
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    check("mine", json=True)
    (found,) = SCHEMAS["site check"].validate_json(capsys.readouterr().out.partition("\n{")[2].join(["{", ""])).values()
    assert found["hear each other"] and found["store is shared"] and found["processes"] == 1
    path.write_text(path.read_text().replace('"main"', '"mian"'))
    with pytest.raises(ValueError, match=r"partition = 'mian': unknown\. Did you mean 'main'\? Known: main"):
        check("mine")
