"""k-NN segmentation: shares of labels, votes, and the way back to pixels."""

import pytest
import torch

from caebench.specs.evaluations.knn_segmentation import knn_segmentation
from caebench.tasks.dense.knn_segmentation import Bank, Prepared, label, label_shares, vote

PATCH = 4


def prepared(labels, rows, columns, inside):
    return Prepared(torch.zeros(rows, columns, 2), labels, inside, PATCH)


def test_shares_count_the_pixels_of_a_patch():
    labels = torch.full((4, 8), 255)
    labels[:2, :4] = 1  # half of the first patch; the rest of it is ignored
    labels[:, 4:] = torch.tensor([0, 0, 0, 2])  # three columns of one class, one of another
    shares = label_shares(prepared(labels, 1, 2, (4, 8)), 3)
    assert shares.tolist() == [[0, 0.5, 0], [0.75, 0, 0.25]]


def test_padded_pixels_have_no_label():
    shares = label_shares(prepared(torch.zeros(4, 6, dtype=torch.long), 1, 2, (4, 6)), 2)
    assert shares.tolist() == [[1, 0], [0.5, 0]]


def test_labels_of_another_size_are_brought_to_the_image_s():
    labels = torch.zeros(8, 16, dtype=torch.long)
    labels[:, 8:] = 1
    shares = label_shares(prepared(labels, 1, 2, (4, 8)), 2)
    assert shares.tolist() == [[1, 0], [0, 1]]


def test_votes_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    tokens, keys = (
        torch.nn.functional.normalize(torch.randn(n, 5, generator=generator, dtype=torch.float64)) for n in (7, 40)
    )
    labels = torch.rand(40, 3, generator=generator, dtype=torch.float64)
    config = knn_segmentation().replace(k=6, temperature=0.1)
    found = vote(tokens, Bank(keys, labels), config)
    for token, voted in zip(tokens, found, strict=True):
        nearest = sorted(range(40), key=lambda n: -float(token @ keys[n]))[:6]
        weights = torch.stack([torch.exp(token @ keys[n] / 0.1) for n in nearest])
        expected = sum(w * labels[n] for w, n in zip(weights / weights.sum(), nearest, strict=True))
        assert voted == pytest.approx(expected, abs=1e-12)


def test_each_patch_takes_the_label_of_its_twin_at_the_size_of_the_labels():
    twins = torch.eye(2)
    tokens = torch.stack([twins[0], twins[1]])[None]  # one row: class 0 on the left, class 1 on the right
    labels = torch.zeros(16, 28, dtype=torch.long)
    image = Prepared(tokens, labels, (4, 7), PATCH)  # the last column of pixels is padding
    found = label(image, Bank(twins, twins), knn_segmentation().replace(k=1))
    assert found.shape == (16, 28)
    assert (found[:, :15] == 0).all() and (found[:, 17:] == 1).all()


def test_rows_that_do_not_fill_their_last_patch_stay_in_place():
    tokens = torch.eye(3)[:, None]  # three rows of patches, 12 pixels, of which the image has 9
    image = Prepared(tokens, torch.zeros(9, 4, dtype=torch.long), (9, 4), PATCH)
    found = label(image, Bank(torch.eye(3), torch.eye(3)), knn_segmentation().replace(k=1))
    assert found[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
