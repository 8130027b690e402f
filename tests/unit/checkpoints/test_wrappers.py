"""Wrapper prefixes: removed in any order for every family, never where they are the family's own, and reported."""

import pytest
import torch

from caebench.checkpoints import load_encoder
from caebench.checkpoints.entries import tensors_of
from caebench.checkpoints.inspection import inspect
from tests.unit.checkpoints.layouts import make, plain
from tests.unit.checkpoints.test_loading import FILES, SUFFIX, save

ENTRIES = ("teacher", "model", "state_dict", "model_state")


def wrapped(content, rename):
    """The content with other names in the entry that is read."""
    entry = next((name for name in ENTRIES if name in content), None)
    table = content if entry is None else content[entry]
    table = {rename(name): tensor for name, tensor in table.items()}
    return table if entry is None else {**content, entry: table}


def inside(name):
    """FSDP's and checkpointing's wrappers around the first part, as well as torch.compile's around everything."""
    first, _, rest = name.partition(".")
    return f"_orig_mod.module.{first}._fsdp_wrapped_module._checkpoint_wrapped_module.{rest}" if rest else name


@pytest.mark.parametrize("rename", [inside, "model.{}".format, "module.model.backbone._orig_mod.{}".format])
@pytest.mark.parametrize("kind", FILES)
def test_wrappers_are_removed_for_every_family(kind, rename, tmp_path):
    _, content = FILES[kind]()
    family = kind.split(",")[0]
    name = "x" + SUFFIX.get(family, ".pth")
    expected = load_encoder(save(content, tmp_path, name), num_heads=3, family=family)
    loaded = load_encoder(save(wrapped(content, rename), tmp_path, name), num_heads=3)
    assert loaded.report.family == family
    assert loaded.report.mapped == expected.report.mapped
    assert all(map(torch.equal, loaded.state_dict().values(), expected.state_dict().values()))


@pytest.mark.parametrize("prefix", ["encoder.", "backbone.model.", "model.encoder.module."])
def test_a_plain_encoder_in_wrappers_is_read_and_they_are_reported(prefix, tmp_path):
    state = plain(make(positions="learnt", layer_scale=None))
    path = save({f"{prefix}{name}": tensor for name, tensor in state.items()}, tmp_path, "x.safetensors")
    found = inspect(path, 3)
    assert (found["family"], found["problems"]) == ("timm", [])
    assert sorted(found["wrappers"]) == sorted(f"{part}." for part in prefix.split(".") if part)


def test_a_head_beside_a_wrapped_backbone_loses_only_the_wrapper_that_it_has(tmp_path):
    state = {f"model.backbone.{n}": t for n, t in plain(make(positions="learnt", layer_scale=None)).items()}
    path = save({**state, "model.head.weight": torch.ones(10, 48)}, tmp_path, "x.safetensors")
    assert load_encoder(path, num_heads=3).report.unused_keys == {"head.weight": "a classifier"}


def test_the_prefix_of_a_family_is_no_wrapper(tmp_path):
    _, content = FILES["cae, released"]()
    assert inspect(save(content, tmp_path), 3)["wrappers"] == []


def test_two_keys_that_differ_by_a_wrapper_only_are_refused(tmp_path):
    state = plain(make(positions="learnt"))
    path = save({**state, "_orig_mod.cls_token": state["cls_token"]}, tmp_path)
    with pytest.raises(ValueError, match=r"has names with and without '_orig_mod\.' for one tensor\. Give one"):
        load_encoder(path, num_heads=3)


@pytest.mark.parametrize("entry", ["model_ema", "state_dict_ema", "ema", "teacher", "whatever"])
def test_weights_that_are_alone_in_a_file_are_read_whatever_the_entry_is_called(entry, tmp_path):
    state = plain(make(positions="learnt", layer_scale=None))
    path = save({entry: {f"module.{n}": t for n, t in state.items()}, "epoch": 3, "optimizer": {"state": {}}}, tmp_path)
    found = inspect(path, 3)
    assert (found["entry"], found["wrappers"], found["problems"]) == (entry, ["module."], [])
    assert found["unused_keys"]["epoch/"] == found["unused_keys"]["optimizer/"] == "training state"


def test_an_average_that_is_alone_has_the_family_of_what_it_averages(tmp_path):
    content = FILES["deit, III"]()[1]
    assert inspect(save({"model_ema": content["model"]}, tmp_path), 3)["family"] == "deit"


def test_several_entries_of_unknown_names_are_listed(tmp_path):
    state = plain(make(positions="learnt"))
    path = save({"ema": state, "online": state}, tmp_path)
    with pytest.raises(ValueError, match=r"several entries have tensors \(ema, online\), and none is one of teacher, "):
        load_encoder(path)


ENTRY = "ENTRY"  # that of the family
LEVELS = [("state_dict", ENTRY), (ENTRY, "state_dict"), (ENTRY, "module"), ("checkpoint", ENTRY, "module")]


def within(levels, value):
    for level in reversed(levels):
        value = {level: value}
    return value


WITH_ENTRY = [kind for kind, made in FILES.items() if any(entry in made()[1] for entry in ENTRIES)]


@pytest.mark.parametrize("levels", LEVELS, ids="/".join)
@pytest.mark.parametrize("kind", WITH_ENTRY)
def test_tables_in_tables_are_opened_for_every_family(kind, levels, tmp_path):
    _, content = FILES[kind]()
    family = kind.split(",")[0]
    at = levels.index(ENTRY)
    nested = {name: within(levels[at + 1 :], value) if tensors_of(value) else value for name, value in content.items()}
    expected = load_encoder(save(content, tmp_path, "x" + SUFFIX.get(family, ".pth")), num_heads=3, family=family)
    loaded = load_encoder(
        save({**within(levels[:at], nested), "epoch": 3}, tmp_path, "nested.pth"), num_heads=3, family=family
    )
    assert loaded.report.mapped == expected.report.mapped
    assert all(map(torch.equal, loaded.state_dict().values(), expected.state_dict().values()))


def test_levels_and_what_is_beside_them_are_reported(tmp_path):
    state = plain(make(positions="learnt", layer_scale=None))
    inner = {"model": {"module": state}, "optimizer": {"lr": 1.0}}
    found = inspect(save({"state_dict": inner, "epoch": 3}, tmp_path), 3)
    assert (found["family"], found["entry"], found["problems"]) == ("timm", "model", [])
    assert found["wrappers"] == ["state_dict/", "module/"]
    assert {"epoch/", "state_dict/optimizer/"} <= found["unused_keys"].keys()


def test_several_tables_of_unknown_names_are_refused(tmp_path):
    state = plain(make(positions="learnt", layer_scale=None))
    path = save({"a": {"b": state}, "c": {"d": state}}, tmp_path)
    with pytest.raises(ValueError, match=r"no entry has named tensors\. Entries: a, c\. Give a checkpoint\."):
        inspect(path, 3)


def test_a_table_that_holds_itself_is_no_endless_search(tmp_path):
    table = {"model": {"epoch": 1}}
    table["model"]["model"] = table
    with pytest.raises(ValueError, match="no entry has named tensors"):
        inspect(save(table, tmp_path), 3)
