"""Exit status of the command line: 0 done, 1 a job failed, 2 the user's mistake; a mistake is one line, no trace."""

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "quikstart"), ["'quikstart'", "Did you mean 'quickstart'?"]),
        (("plan", "./none.toml"), ["./none.toml", "no such suite file"]),
        (("plan", "quickstart", "--scale", "papr"), ["--scale 'papr'", "Did you mean 'paper'?"]),
        (("plan", "quickstart", "--seeds", "0,0"), ["--seeds '0,0'", "different numbers"]),
        (("plan", "quickstart", "--seeds", "a"), ["--seeds 'a'", "whole numbers"]),
        (("plan", "quickstart", "--site", "moon"), ["moon.toml", "no such site", "Known: local, eager, small"]),
        (("report",), ["give one of SUITE"]),
        (("report", "--table", "99"), ["--table 99", "Tables with a suite"]),
        (("report", "--suite", "quickstart", "--format", "pdf"), ["--format 'pdf'", "rich, md, csv, tex, json"]),
        (("report", "--all", "--vs", "papers"), ["'papers'", "Did you mean 'paper'?"]),
        (("report", "--all", "--vs", "./none.csv"), ["./none.csv", "no such file"]),
        (("why", "ffffffffff"), ["'ffffffffff'", "no job has this id", "caebench status"]),
        (("diff", "cae", "linear_probe"), ["'cae' is of kind pretrain", "kind linear_probe", "two of the same kind"]),
        (("diff", "cae", "offical"), ["'offical'", "Did you mean 'official'?", "Recipes: cae"]),
        (("diff", "cae", "official", "--scale", "nano"), ["preset 'official' is at paper scale"]),
        (("run", "job", "ffffffffff"), ["'ffffffffff'", "no job has this id"]),
        (("data", "make", "there", "--scale", "paper"), ["--scale 'paper'", "nothing to render"]),
    ],
)
def test_a_users_mistake_is_one_line_that_says_what_to_do(bench, arguments, said):
    command = bench.run(*arguments)
    assert command.process.exitcode == 2, command.output
    assert [part for part in said if part not in command.output] == []
    assert len(command.output.strip().splitlines()) == 1, command.output


def test_a_site_file_with_a_mistake_is_named(bench):
    bench.write_site("wrong", 'device = "gpu"\nstor = "x"\n')
    command = bench.run("plan", "quickstart", "--site", "wrong")
    assert command.process.exitcode == 2
    assert [part for part in ("wrong.toml", "'device'", "'gpu'", "'stor'") if part not in command.output] == []


def test_a_site_file_that_is_not_toml_is_named(bench):
    bench.write_site("wrong", "device = cpu\n")
    command = bench.run("status", "--site", "wrong")
    assert command.process.exitcode == 2
    assert "wrong.toml" in command.output and "not valid TOML" in command.output


def test_a_finished_job_is_not_run_again(quickstart, bench):
    job = quickstart.job("knn", "random")
    command = bench.run("run", "job", job.id)
    assert command.process.exitcode == 0
    assert "already done" in command.output


def test_a_hopeless_run_is_refused_before_it_starts_and_names_all_that_is_missing(bench):
    command = bench.run("run", "suite", "ablation-mask-ratio", "--scale", "paper", "--yes")
    assert command.process.exitcode == 2
    assert "[data] imagenet1k: not set" in command.output and "[assets] dalle_encoder: not set" in command.output
    assert not list(bench.store.glob("*/*vit_b*"))


SETS = {"imagenet1k": "imagenet", "ade20k": "ade20k"}


def test_an_expensive_run_is_not_started_unasked(bench):
    (bench.home / "imagenet").mkdir()
    (bench.home / "ade20k").mkdir()
    (bench.home / "encoder.pkl").touch()
    roots = "".join(f'{name} = "{bench.home}/{folder}"\n' for name, folder in SETS.items())
    places = f'[data]\n{roots}[assets]\ndalle_encoder = "{bench.home}/encoder.pkl"\n'
    bench.write_site("cluster", places)
    command = bench.run("run", "suite", "ablation-mask-ratio", "--scale", "paper", "--site", "cluster")
    assert command.process.exitcode != 0
    assert "A100-80GB hours" in command.output and "Run it here?" in command.output
    assert not list(bench.store.glob("*/*vit_b*"))


def test_why_names_the_fields_that_differ_from_the_nearest_job(quickstart, bench):
    job, other = quickstart.job("pretrain", "cae-pixels"), quickstart.job("pretrain", "cae-dvae")
    command = bench.run("why", job.id, "--json")
    facts = json.loads(command.output)
    assert facts["id"] == job.id and facts["state"] == "done"
    assert facts["nearest"]["job"] == other.name
    assert any(line.startswith("method.target.kind: pixels -> dvae") for line in facts["nearest"]["differs in"])
    assert facts["provenance"]["packages"]["torch"]


def test_status_tells_states_apart(quickstart, bench):
    """A store with a finished, a failed and a paused job."""
    from tests.helpers import own_copy

    failed, paused = (own_copy(bench, quickstart.job(*names)) for names in (("knn", "random"), ("pretrain", "pixels")))
    (failed / "result.json").unlink()
    (failed / "failure.json").write_text('{"error": "ValueError: the reason"}')
    (paused / "result.json").unlink()
    (paused / "checkpoints").mkdir()
    facts = {fact["job"]: fact for fact in json.loads(bench.run("status", "--json").output)}
    assert facts[f"knn/{failed.name}"]["state"] == "failed"
    assert facts[f"knn/{failed.name}"]["detail"] == "ValueError: the reason"
    assert facts[f"pretrain/{paused.name}"]["state"] == "paused"
    assert facts[quickstart.job("synthetic", "imagenet1k").name]["state"] == "done"
