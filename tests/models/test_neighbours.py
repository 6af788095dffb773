"""k-NN: votes and standardisation."""

import pytest
import torch

from vicregl_fast.models import neighbours
from vicregl_fast.models.neighbours import Bank, Standardisation, Vote, knn_answers, knn_classify


def test_a_near_neighbour_outvotes_two_far_ones() -> None:
    """Cosines 1, 0.8 and 0.8: weights 1 against 2·exp(-0.2 / 0.07) = 0.115."""
    train = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [-1.0, 0.0]])
    labels = torch.tensor([1, 0, 0, 2])
    assert knn_classify(train, labels, torch.tensor([[5.0, 0.0]]), k=3).tolist() == [1]


def test_two_neighbours_outvote_one_that_is_hardly_nearer() -> None:
    """Cosines 1 and twice 0.98: weights 1 against 2·exp(-0.02 / 0.07) = 1.50; alone, the nearest decides."""
    train = torch.tensor([[1.0, 0.0], [0.98, 0.19899748], [0.98, -0.19899748], [-1.0, 0.0]])
    labels = torch.tensor([1, 0, 0, 2])
    query = torch.tensor([[2.0, 0.0]])
    assert knn_classify(train, labels, query, k=3).tolist() == [0]
    assert knn_classify(train, labels, query, k=1).tolist() == [1]


def test_the_length_of_a_feature_does_not_count() -> None:
    train = torch.tensor([[100.0, 90.0], [0.01, 0.0]])
    assert knn_classify(train, torch.tensor([0, 1]), torch.tensor([[1.0, 0.1]]), k=1).tolist() == [1]


def test_a_plain_vote_counts_heads() -> None:
    """The near neighbour of above is outvoted by two far ones."""
    train = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [-1.0, 0.0]])
    labels, query = torch.tensor([1, 0, 0, 2]), torch.tensor([[5.0, 0.0]])
    answers = knn_answers(train, labels, query, [Vote(3), Vote(3, weighted=False), Vote(1, weighted=False)])
    assert [answer.tolist() for answer in answers] == [[1], [0], [1]]


def test_few_at_a_time_and_other_votes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = torch.randn(50, 6, generator=generator), torch.randn(33, 6, generator=generator)
    labels = torch.randint(4, (50,), generator=generator)
    whole = knn_classify(train, labels, test, k=7)
    assert len(whole.unique()) == 4
    rows: list[int] = []
    topk = torch.Tensor.topk
    monkeypatch.setattr(neighbours, "TABLE_BYTES", 4 * 50 * 5)
    monkeypatch.setattr(torch.Tensor, "topk", lambda table, k: (rows.append(len(table)), topk(table, k))[1])
    assert torch.equal(knn_answers(train, labels, test, [Vote(20), Vote(7), Vote(1)])[1], whole)
    assert rows == [5] * 6 + [3]


def test_standardisation_uses_the_training_features_only() -> None:
    train = torch.tensor([[0.0, 5.0, 1.0], [4.0, 5.0, 3.0]])
    standardise = Standardisation.of(train)
    assert standardise(train).tolist() == [[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]]
    assert standardise(torch.tensor([[6.0, 7.0, 2.0]])).tolist() == [[2.0, 2.0, 0.0]]


def test_shares_are_the_votes_of_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of cosines 1, 0.8, 0.8 the weights are 1 and exp(-0.2 / 0.07); class 3 has no feature in the bank."""
    train = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [-1.0, 0.0]])
    bank = Bank(train, torch.tensor([1, 0, 0, 2]), classes=4)
    near = 1 / (1 + 2 * torch.tensor(-0.2 / 0.07).exp())
    queries = torch.tensor([[5.0, 0.0], [-3.0, 0.0]])
    assert torch.allclose(bank.shares(queries, Vote(3))[0], torch.tensor([1 - near, near, 0, 0]), atol=1e-5)
    assert torch.allclose(bank.shares(queries, Vote(3, weighted=False))[0], torch.tensor([2 / 3, 1 / 3, 0, 0]))
    assert bank.shares(queries, Vote(1))[1].tolist() == [0, 0, 1, 0]
    whole = bank.shares(queries, Vote(2))
    monkeypatch.setattr(neighbours, "TABLE_BYTES", 1)
    assert torch.equal(bank.shares(queries, Vote(2)), whole)
