"""What a site file may say of a user's own data set."""

import pytest
from pydantic import ValidationError

from caebench.specs.site import Site, load_site

FLOWERS = {"root": "/data/flowers", "format": "imagefolder"}


def test_a_folder_of_a_format_is_a_data_set_with_a_name_of_its_own():
    site = Site.model_validate({"data": {"flowers-17.v2": {**FLOWERS, "train": "a", "val": "b"}, "coco": "/data/coco"}})
    layout = site.data["flowers-17.v2"].layout
    assert layout is not None and (layout.format, layout.train, layout.val, layout.val_share) == (
        "imagefolder",
        "a",
        "b",
        0.2,
    )
    assert site.data["coco"].layout is None
    assert {name: str(root) for name, root in site.roots.items()} == {
        "flowers-17.v2": "/data/flowers",
        "coco": "/data/coco",
    }


MISTAKES = {
    "shadows a published set": ({"coco": FLOWERS}, "[data.coco] format: coco is a published data set"),
    "shadows a rendered set": ({"broad": FLOWERS}, "data set 'broad': unknown: it exists rendered only"),
    "no format": ({"flowers": {"root": "/a"}}, "data set 'flowers': unknown. Known: imagenet1k, "),
    "a path alone": ({"imagenet": "/a"}, "Did you mean 'imagenet1k'?"),
    "an unknown format": (
        {"flowers": {"root": "/a", "format": "folder"}},
        "Did you mean 'imagefolder'? Known: imagefolder",
    ),
    "a part of one's own": (
        {"flowers": {**FLOWERS, "subset": True}},
        "[data.flowers] subset = true: it is a folder of",
    ),
    "a layout of a published set": (
        {"coco": {"root": "/a", "val": "b"}},
        "[data.coco] val: the layout of coco is known",
    ),
    "no name": ({"my flowers": FLOWERS}, "data set 'my flowers': no name of a data set"),
    "a name for few-shot": ({"flowers@1%": FLOWERS}, "data set 'flowers@1%': no name of a data set"),
    "a place outside": ({"flowers": {**FLOWERS, "val": "../val"}}, "'../val': give a path below the root"),
    "a share of all": ({"flowers": {**FLOWERS, "val_share": 1.0}}, "less than 1"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_says_what_is_allowed(name):
    data, said = MISTAKES[name]
    with pytest.raises(ValidationError) as caught:
        Site.model_validate({"data": data})
    assert said in str(caught.value)


def test_a_mistake_in_a_site_file_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".config" / "caebench" / "sites" / "local.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[data.flowers]\nroot = "/a"\nformat = "folder"\n')
    with pytest.raises(ValueError, match=r"^[^\n]*format 'folder': unknown[^\n]*$"):
        load_site("local")
