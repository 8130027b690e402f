"""The tables of `caebench bench`: the header, then one row per measurement."""

from typing import Any

Rows = list[list[str]]


def pretrain_rows(found: dict[str, Any]) -> Rows:
    """Ours compared with the reference, then our stages."""
    names = ("ours", "reference")
    rows = [["", *names], *_rates(found)]
    losses, memory = found["losses"], found["memory"]
    rows += [
        ["memory between steps", *(_bytes(memory[name]["state_bytes"]) for name in names)],
        ["peak of a step, above it", *(_bytes(memory[name]["step_bytes"]) for name in names)],
        ["encoders", *(str(found["encoders"][name]) for name in names)],
        ["loss of the last step", *(f"{losses[name][-1]:.6f}" for name in names)],
        ["largest difference of a loss", f"{losses['largest_relative_difference']:.1e}", ""],
        ["graphs compiled, first step / later", "{first_step} / {later}".format(**found["compilations"]), ""],
    ]
    total = sum(found["stages"]["seconds"].values())
    rows += [[f"  {stage}", _seconds(s), f"{s / total:.1%}"] for stage, s in found["stages"]["seconds"].items()]
    return [*rows, ["  stages / step", f"{found['stages']['sum_over_step']:.2f}", ""]]


def probe_rows(found: dict[str, Any]) -> Rows:
    """Ours compared with the reference, then the heads."""
    rows = [["frozen encoder", "ours", "reference"], *_rates(found)]
    rows.append(["largest difference of an output", f"{found['largest_difference']:.1e}", ""])
    return [
        *rows,
        *([f"{name} head, images/s", f"{head['images_per_second']:,.0f}", ""] for name, head in found["heads"].items()),
    ]


def pass_rows(found: dict[str, Any]) -> Rows:
    """Complete jobs, and their time relative to the linear probe's."""
    images, seconds = found["images"], found["seconds"]
    over = {"linear": "1", "pass": _ratio(found["pass_over_linear"]), "knn": ""}
    named = dict(zip(over, ("linear probe", "13 rates on 3 features, attentive probe", "k-NN"), strict=True))
    return [
        [f"{found['epochs']} epochs of {images['train']} images", "seconds", "time / linear probe"],
        *([named[key], f"{seconds[key]:,.1f}", over[key]] for key in named),
        ["all, k-NN counted once in 90 epochs", "", _ratio(found["with_knn_over_linear"])],
    ]


def data_rows(found: dict[str, Any]) -> Rows:
    """Each kind of sample compared with decoding."""
    over = {kind: _ratio(ratio) for kind, ratio in found["time_over_decoding"].items()}
    rates = found["images_per_second"].items()
    rows = [[kind, f"{rate:,.1f}", over.get(kind, "1")] for kind, rate in rates]
    return [["one process", "images/s", "time / decoding"], *rows]


def plan_rows(found: dict[str, Any]) -> Rows:
    """Jobs and seconds."""
    return [
        ["jobs", "seeds", "seconds", "jobs/s", "seconds of their costs"],
        [
            f"{found['jobs']:,}",
            str(found["seeds"]),
            f"{found['seconds']:.3f}",
            f"{found['jobs_per_second']:,.0f}",
            f"{found['cost_seconds']:.3f}",
        ],
    ]


def ablate_rows(found: dict[str, Any]) -> Rows:
    """Each change and the time of a step with it."""
    rows = [["ours", "", _seconds(found["seconds"]["ours"]), "1"]]
    for name, entry in found["over_ours"].items():
        what = f"without {name}" if entry["kept"] else f"tried: {name}"
        rows.append([what, entry["what"], _seconds(found["seconds"][name]), _ratio(entry)])
    return [["step", "replaced by", "seconds", "time / ours"], *rows]


def _rates(found: dict[str, Any]) -> Rows:
    names = ("ours", "reference")
    return [
        ["images/s", *(f"{found['images_per_second'][name]:,.2f}" for name in names)],
        ["seconds, median", *(_seconds(found["seconds"][name]) for name in names)],
        ["time / reference, interleaved", _ratio(found["time_ratio"]), "1"],
        ["images/s / reference", f"{found['speedup']:.3f}", "1"],
        ["share of peak", *(f"{found['share_of_peak'][name]:.1%}" for name in names)],
        ["peak, TFLOP/s", f"{found['peak_flops_per_second'] / 1e12:.3g}", ""],
    ]


def _ratio(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"


def _bytes(number: int | None) -> str:
    return "-" if number is None else f"{number / 1e9:.2f} GB"
