"""Weighted k-NN against a plain loop."""

import math

import pytest
import torch
from torch.nn import functional as F

from caebench.recipes.probes import knn
from caebench.tasks.knn import classify

CLASSES = 4


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    bank = F.normalize(torch.randn(60, 6, generator=generator), dim=-1)
    queries = F.normalize(torch.randn(25, 6, generator=generator), dim=-1)
    return queries, bank, torch.randint(0, CLASSES, (60,), generator=generator)


def brute_force(queries, bank, labels, k, temperature):
    predicted = []
    for query in queries.double().tolist():
        similarities = [sum(a * b for a, b in zip(query, row, strict=True)) for row in bank.double().tolist()]
        nearest = sorted(range(len(bank)), key=lambda i: -similarities[i])[:k]
        votes = [0.0] * CLASSES
        for i in nearest:
            votes[labels[i]] += math.exp(similarities[i] / temperature)
        predicted.append(votes.index(max(votes)))
    return predicted


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_it_votes_as_a_plain_loop_does(data, temperature):
    config = knn().replace(k=(1, 3, 10, 60), temperature=temperature)
    found = classify(*data, config, CLASSES)
    assert found.keys() == {1, 3, 10, 60}
    for k, predicted in found.items():
        assert predicted.tolist() == brute_force(*data, k, temperature)


def test_a_k_beyond_the_bank_takes_all_of_it(data):
    found = classify(*data, knn().replace(k=(60, 1000)), CLASSES)
    assert found[1000].tolist() == found[60].tolist()
