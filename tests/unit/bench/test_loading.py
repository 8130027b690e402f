"""Making samples, measured."""

from caebench.bench.loading import bench_data
from caebench.cli.show_bench import data_rows


def test_data_is_measured_beside_decoding(settings):
    found = bench_data(settings._replace(repeats=2))
    kinds = {"pretraining", "probe"}
    assert set(found["images_per_second"]) == {
        "decoding",
        "decoding by Pillow",
        "evaluation",
        *kinds,
        *(f"{kind}, resize on device" for kind in kinds),
    }
    assert all(found["time_over_decoding"][kind]["median"] > 1.0 for kind in kinds)
    assert {len(row) for row in data_rows(found)} == {3}
