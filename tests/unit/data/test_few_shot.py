"""Which images a draw has."""

from collections import Counter
from pathlib import Path

import pytest

from caebench.data.few_shot import draw
from caebench.datasets.errors import DataError
from caebench.datasets.splits import ImageSplit, fingerprint
from caebench.specs.inputs.few_shot import FewShot


def split(*sizes):
    """Classes of some sizes, whose images lie mixed."""
    entries = sorted((f"{number}/{label}.jpg", label) for label, size in enumerate(sizes) for number in range(size))
    return ImageSplit(Path("/data"), entries, fingerprint(entries))


def test_so_many_of_each_class_in_the_order_of_the_list():
    whole = split(9, 5, 7)
    found = draw(FewShot(shots=3), whole, 3)
    assert Counter(label for _, label in found.entries) == {0: 3, 1: 3, 2: 3}
    assert found.entries == [entry for entry in whole.entries if entry in set(found.entries)]
    assert found.fingerprint == fingerprint(found.entries) != whole.fingerprint


def test_a_draw_of_few_is_within_a_draw_of_more():
    for number in range(5):
        one, more = (set(draw(FewShot(shots=k, draw=number), split(20, 30), 2).entries) for k in (1, 10))
        assert one < more


def test_draws_differ_and_are_the_same_every_time():
    lists = [draw(FewShot(shots=3, draw=number), split(30, 30), 2).entries for number in (0, 1, 2, 0)]
    assert lists[0] == lists[3]
    assert len({tuple(one) for one in lists}) == 3


def test_a_draw_of_a_class_is_its_own():
    """Another class's size changes nothing: machines with other lists of it draw the same."""
    one, other = (draw(FewShot(shots=3), split(size, 12), 2).entries for size in (30, 29))
    assert [entry for entry in one if entry[1] == 1] == [entry for entry in other if entry[1] == 1]


def test_these_are_the_images_that_are_drawn():
    """Pinned: another draw would be another benchmark under the same name."""
    found = draw(FewShot(shots=2, draw=1), split(10, 10, 10), 3)
    assert found.entries == [
        ("0/1.jpg", 1),
        ("1/2.jpg", 2),
        ("4/1.jpg", 1),
        ("5/2.jpg", 2),
        ("6/0.jpg", 0),
        ("7/0.jpg", 0),
    ]


def test_a_share_has_the_planned_size():
    found = draw(FewShot(share=0.1), split(100, 50, 3), 3)
    assert Counter(label for _, label in found.entries) == {0: 9, 1: 5, 2: 1}


def test_a_class_with_fewer_is_an_error_that_says_where():
    with pytest.raises(DataError, match=r"^/data: class 2 has 3 training images, 4 are to be drawn\. Ask for fewer"):
        draw(FewShot(shots=4), split(9, 9, 3), 3)
