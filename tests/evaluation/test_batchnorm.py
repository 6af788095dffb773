"""Re-estimated BatchNorm statistics against the data's own moments."""

import torch
from torch import nn

from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm


def test_statistics_are_those_of_all_the_data_whatever_the_batches() -> None:
    """Batches of unequal size and mean: an average of per-batch variances would be far too small."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(10, 3, 4, 5, generator=generator) + torch.arange(10.0).view(10, 1, 1, 1)
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.fill_(7)
    reestimate_batchnorm(norm, [images[:2], images[2:9], images[9:]])
    values = images.transpose(0, 1).flatten(1).double()
    assert torch.allclose(norm.running_mean.double(), values.mean(1), rtol=1e-6)
    assert torch.allclose(norm.running_var.double(), values.var(1), rtol=1e-6)


def test_later_layers_see_normalised_inputs_and_the_modes_come_back() -> None:
    generator = torch.Generator().manual_seed(0)
    images = 5 + 3 * torch.randn(64, 3, 8, 8, generator=generator)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.9), nn.BatchNorm2d(3)).eval()
    network[2].train()
    reestimate_batchnorm(network, images.split(16))
    assert [layer.training for layer in network] == [False, False, True]
    # Dropout stayed off, so the second layer sees mean 0 and variance 1.
    assert torch.allclose(network[2].running_mean, torch.zeros(3), atol=1e-4)
    assert torch.allclose(network[2].running_var, torch.ones(3), atol=1e-3)
    normalised = network[0](images)
    assert torch.allclose(normalised.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)


def test_a_network_without_batchnorm_reads_no_data() -> None:
    def unread():
        raise AssertionError
        yield

    reestimate_batchnorm(nn.Conv2d(3, 3, 1), unread())
