"""A batch in chunks has the gradient of the whole, in the memory of a chunk; so has one that is computed again."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_run import ALONE
from tests.training.test_many_processes import NETWORKS, batch, distance, learner, trained
from tests.two_processes import on_two_processes
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.models.passes import compile_backbone, recompute_activations
from vicregl_fast.training.buffers import NetworkBuffers
from vicregl_fast.training.passes import ChunkedPasses, WholePasses
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.processes import join_processes

FP32 = Precision("fp32", "cpu")
SMALL = ModelConfig("test_convnext", drop_path=0.5, expander=16, projector=8)
SAMPLES, CHUNK = 64, 8


def network(config: ModelConfig = SMALL) -> VICRegLNetwork:
    torch.manual_seed(0)
    return VICRegLNetwork(config, True, True, classes=3)


def drawn_views(sizes: tuple[int, ...] = (32, 32), samples: int = SAMPLES) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(samples, 3, size, size, generator=generator) for size in sizes]


def loss_of(outputs: Any) -> torch.Tensor:
    """One that knits the samples of a batch together."""
    joined = [each.flatten(1) for each in (*outputs.embeddings, *outputs.maps, outputs.logits)]
    return sum(((each.T @ each) ** 2).mean() + each.std(0).sum() for each in joined)  # type: ignore[return-value]


def gradients(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_chunks_have_the_gradient_of_their_batch() -> None:
    """Drop path draws for one chunk after the other, as where the activations of all are kept."""
    net, views = network(), drawn_views()
    torch.manual_seed(2)
    parts = [net([view[at : at + CHUNK] for view in views]) for at in range(0, SAMPLES, CHUNK)]
    views_of = [
        [torch.cat(view) for view in zip(*each, strict=True)] for each in zip(*(p[:2] for p in parts), strict=True)
    ]
    kept = parts[0]._replace(
        embeddings=views_of[0], maps=views_of[1], logits=torch.cat([part.logits for part in parts])
    )
    loss_of(kept).backward()
    right, after = gradients(net), torch.rand(1)
    net.zero_grad()
    torch.manual_seed(2)
    passes = ChunkedPasses(net, FP32, NetworkBuffers(net), CHUNK)
    outputs = passes.forward(views)
    assert all(torch.equal(a, b) for a, b in zip(outputs.maps, kept.maps, strict=True))
    passes.backward(loss_of(outputs))
    assert torch.equal(after, torch.rand(1))  # the generator is where it would be
    found = gradients(net)
    assert found.keys() == right.keys()
    assert distance(found, right) < 1e-5


def kept_bytes(passes: WholePasses, views: list[torch.Tensor]) -> int:
    """The most bytes that autograd holds at one time for a forward and backward pass, beside parameters."""
    held, most = 0, 0

    class Held:
        def __init__(self, tensor: torch.Tensor):
            nonlocal held, most
            self.tensor = tensor
            self.bytes = 0 if isinstance(tensor, torch.nn.Parameter) else tensor.nbytes
            held += self.bytes
            most = max(most, held)

        def __del__(self) -> None:
            nonlocal held
            held -= self.bytes

    with torch.autograd.graph.saved_tensors_hooks(Held, lambda kept: kept.tensor):
        passes.backward(loss_of(passes.forward(views)))
    return most


def test_the_chunk_decides_what_is_kept() -> None:
    net, views = network(), drawn_views()
    whole = kept_bytes(WholePasses(net, FP32, NetworkBuffers(net)), views)
    chunked = kept_bytes(ChunkedPasses(net, FP32, NetworkBuffers(net), CHUNK), views)
    one_chunk = kept_bytes(WholePasses(net, FP32, NetworkBuffers(net)), [view[:CHUNK] for view in views])
    assert chunked < 0.25 * whole and chunked < 1.3 * one_chunk


def test_without_gradients_chunks_only_pass() -> None:
    net, views = network().eval(), drawn_views(samples=5)
    with torch.no_grad():
        outputs, right = ChunkedPasses(net, FP32, NetworkBuffers(net), 2).forward(views), net(views)
    assert outputs.logits.shape == (5, 3) and not outputs.logits.requires_grad
    torch.testing.assert_close(outputs.embeddings, right.embeddings)


def _train_in_chunks(folder: Path) -> None:
    processes = join_processes("cpu")
    torch.save(
        trained("test_convnext", processes, 2, **NETWORKS["test_convnext"], **{"train.chunk": 3}), folder / "0.pt"
    )
    processes.leave()


@pytest.mark.slow
def test_processes_that_train_in_chunks_train_as_one_does_at_once(tmp_path: Path) -> None:
    on_two_processes(_train_in_chunks, tmp_path)
    whole = trained("test_convnext", ALONE, 2, **NETWORKS["test_convnext"])
    assert distance(torch.load(tmp_path / "0.pt"), whole) < 1e-7


def test_chunks_count_once_in_running_statistics() -> None:
    tried = learner("test_resnet", ALONE, **{"train.chunk": 2})
    made = batch(tried, 0, ALONE)
    made = type(made)(made.indices, tuple(view.float() for view in made.views), made.labels, made.matches)
    assert tried.step(made, 0.1).finite
    counts = {value.item() for name, value in tried.network.state_dict().items() if "num_batches" in name}
    assert counts == {8}  # two views of four chunks


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext"])
def test_activations_computed_again_are_the_same(backbone: str) -> None:
    kept = trained(backbone, ALONE, steps=3)
    again = trained(backbone, ALONE, steps=3, **{"train.checkpoint_activations": True})
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_less_is_kept_where_activations_are_computed_again() -> None:
    net, views = network(), drawn_views()
    kept = kept_bytes(WholePasses(net, FP32, NetworkBuffers(net)), views)
    recompute_activations(net.backbone)
    assert kept_bytes(WholePasses(net, FP32, NetworkBuffers(net)), views) < 0.5 * kept


def test_a_compiled_backbone_does_not_unroll_views(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[int] = []

    def count(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        graphs.append(sum(node.op.startswith("call") for node in graph.graph.nodes))
        return graph

    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda code, mode, **options: compiler(code, backend=count, **options))
    net = network(ModelConfig("resnet18", expander=16, projector=8))
    eager = copy.deepcopy(net)
    compile_backbone(net.backbone)
    views = drawn_views((64, 64, 32, 32, 32), samples=4)
    outputs, right = net(views), eager(views)
    assert len(graphs) == 2 and max(graphs) < 120  # one for each size
    for found, wanted in zip(outputs.maps, right.maps, strict=True):
        torch.testing.assert_close(found, wanted)
    assert net.state_dict().keys() == eager.state_dict().keys()
