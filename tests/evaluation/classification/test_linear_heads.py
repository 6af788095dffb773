"""The heads of linear classification against torch's own optimiser."""

import math

import torch

from vicregl_fast.evaluation.classification.linear_heads import LinearHeads

CPU = torch.device("cpu")


def drawn_batches(count: int = 4, channels: int = 5, classes: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(8, channels, generator=generator), torch.randint(classes, (8,), generator=generator))
        for _ in range(count)
    ]


def test_heads_learn_as_torch_s_sgd_does() -> None:
    """At two rates at once, beside a linear layer for each with momentum 0.9, decay 1e-6 and a cosine per epoch."""
    epochs, chosen = 3, (0.5, 0.05)
    heads = LinearHeads(5, 3, chosen, epochs, CPU, seed=0)
    layers = [torch.nn.Linear(5, 3) for _ in chosen]
    optimisers = []
    for layer, rate in zip(layers, chosen, strict=True):
        start = heads.logits(torch.cat([torch.zeros(1, 5), torch.eye(5)]))[0].detach()
        layer.load_state_dict({"bias": start[0], "weight": (start[1:] - start[0]).T})
        assert 0.005 < layer.weight.std() < 0.02 and (layer.bias == 0).all()
        optimisers.append(torch.optim.SGD(layer.parameters(), rate, momentum=0.9, weight_decay=1e-6))
    for epoch in range(epochs):
        for features, labels in drawn_batches():
            heads.step(features, labels, epoch)
            for layer, optimiser, rate in zip(layers, optimisers, chosen, strict=True):
                optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(layer(features), labels).backward()
                optimiser.step()
    features, labels = drawn_batches(1)[0]
    right = torch.stack([layer(features) for layer in layers])
    torch.testing.assert_close(heads.logits(features), right)
    assert torch.equal(heads.correct(features, labels), (right.argmax(2) == labels).sum(1))


def test_several_rates_are_single_runs() -> None:
    together = LinearHeads(5, 3, (0.5, 0.05, 2.0), 2, CPU, seed=0)
    alone = [LinearHeads(5, 3, (rate,), 2, CPU, seed=0) for rate in (0.5, 0.05, 2.0)]
    for features, labels in drawn_batches():
        for heads in (together, *alone):
            heads.step(features, labels, 1)
    features = drawn_batches(1)[0][0]
    torch.testing.assert_close(together.logits(features), torch.cat([heads.logits(features) for heads in alone]))


def test_labels_without_a_reason_are_not_learned() -> None:
    generator = torch.Generator().manual_seed(3)
    train, test = (torch.randn(count, 5, generator=generator) for count in (64, 4000))
    heads = LinearHeads(5, 2, (0.1,), 20, CPU, seed=0)
    labels = torch.randint(2, (64,), generator=generator)
    for epoch in range(20):
        heads.step(train, labels, epoch)
    right = heads.correct(test, torch.randint(2, (4000,), generator=generator)).item()
    assert abs(right / 4000 - 0.5) < 0.04  # five standard deviations
