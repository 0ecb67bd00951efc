"""Two processes that normalise together learn what one process would from the whole batch."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from one_process import ALONE, fingerprint
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from two_ranks import on_two_ranks
from workspaces import set_params

from deepmark.data.augment import make_sample
from deepmark.data.sampling import part_bounds, shared_batches
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.model.detector import build_detector
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.sync_batch_norm import SyncBatchNorm2d, sync_batch_norm
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.train.targets import Batch, collate
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def learn(network: nn.Module, x: Tensor, towards: Tensor) -> list[Tensor]:
    """The result, and the gradients of the input and of every weight."""
    x = x.clone().requires_grad_()
    result = network(x)
    (result.double() * towards).sum().backward()
    return [result.detach(), x.grad, *(weight.grad for weight in network.parameters())]


@pytest.mark.system
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.03)]
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_two_halves_of_unequal_size_give_the_results_gradients_and_statistics_of_the_whole(
    tmp_path, dtype, tolerance, memory_format
):
    torch.manual_seed(0)
    alone = nn.Sequential(nn.BatchNorm2d(4), nn.Tanh(), nn.BatchNorm2d(4, momentum=0.3)).double()
    nn.init.normal_(alone[0].weight)
    x = (3 + torch.randn(5, 4, 6, 7, dtype=torch.float64)).to(memory_format=memory_format)
    towards = torch.randn_like(x)
    together = copy.deepcopy(alone).to(torch.float32 if dtype == torch.bfloat16 else dtype)
    sync_batch_norm(together)
    wanted = learn(alone, x, towards)

    def work(group: ProcessGroup) -> tuple[list[Tensor], list[Tensor]]:
        mine = slice(0, 3) if group.is_first else slice(3, 5)
        result, of_input, *of_weights = learn(together, x[mine].to(dtype), towards[mine])
        for gradient in of_weights:
            dist.all_reduce(gradient)
        statistics = [buffer.double().numpy() for buffer in together.buffers()]
        assert result.dtype == of_input.dtype == dtype
        return [each.double().numpy() for each in (result, of_input, *of_weights)], statistics

    (first, statistics), (second, others) = on_two_ranks(tmp_path, work)

    halves = [np.concatenate([a, b]) for a, b in zip(first[:2], second[:2], strict=True)]
    for found, exact in zip([*halves, *first[2:]], wanted, strict=True):
        assert np.linalg.norm(found - exact.numpy()) < tolerance * np.linalg.norm(exact)
    assert all(np.array_equal(a, b) for a, b in zip(statistics, others, strict=True))
    for found, exact in zip(statistics, alone.buffers(), strict=True):
        np.testing.assert_allclose(found, exact, rtol=tolerance, atol=tolerance)


def test_a_network_keeps_its_weights_their_names_and_what_it_detects():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
    network[1].running_mean.normal_()
    images, before = torch.randn(2, 3, 5, 5), dict(network.state_dict(keep_vars=True))
    wanted = network.eval()(images)
    sync_batch_norm(network)

    assert isinstance(network[1], SyncBatchNorm2d)
    after = network.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    assert torch.equal(network.eval()(images), wanted)


def stepper_of(workspace: Workspace, group: ProcessGroup, dtype: torch.dtype = torch.float32) -> Stepper:
    params = workspace.params
    detector = build_detector(params.model, DEEPFASHION2, seed=0).to(dtype)
    return make_stepper(detector, build_optimizer(detector, params.train), params.train, group)


def share_of(workspace: Workspace, group: ProcessGroup) -> Batch:
    """This process's share of five images."""
    reader, rng = ShardReader(workspace.shards("train")), np.random.default_rng(0)
    samples = [
        make_sample(*reader[n], canvas=(64, 64), augment=None, rng=rng, vocabulary=reader.vocabulary) for n in range(5)
    ]
    (mine,) = shared_batches(np.arange(5), 5, rank=group.rank, world=group.world_size)
    return collate([samples[n] for n in mine])


def learn_once(workspace: Workspace, group: ProcessGroup) -> list[np.ndarray]:
    """The losses of a step in double precision, its gradients, and the running statistics after it."""
    stepper = stepper_of(workspace, group, torch.float64)
    losses = stepper.step([share_of(workspace, group)], 1e-3).losses
    gradients = [weight.grad for weight in stepper.detector.parameters()]
    statistics = [buffer for name, buffer in stepper.detector.named_buffers() if "running" in name]
    return [np.array(losses), *(torch.cat([one.flatten() for one in each]).numpy() for each in (gradients, statistics))]


@pytest.mark.system
@pytest.mark.parametrize("backbone", ["mobile", "dla34"])
def test_a_step_of_two_processes_equals_that_of_one_only_if_they_normalise_together(sharded, tmp_path, backbone):
    """DLA-34 with its deformable layers, which compute their samples once more in the backward pass."""
    train = {"sync_batch_norm": True, "clip_norm": 10.0}
    together = set_params(sharded, model={"backbone": backbone}, train=train)
    alone = learn_once(together, ALONE)
    found, others = on_two_ranks(tmp_path, lambda group: learn_once(together, group))
    (tmp_path / "store").unlink(missing_ok=True)
    apart = set_params(sharded, train={"sync_batch_norm": False})
    differing, _ = on_two_ranks(tmp_path, lambda group: learn_once(apart, group))

    assert all(np.array_equal(a, b) for a, b in zip(found, others, strict=True))
    for value, without, wanted in zip(found, differing, alone, strict=True):
        assert np.linalg.norm(value - wanted) < 1e-7 * np.linalg.norm(wanted)
        assert np.linalg.norm(without - wanted) > 1e-4 * np.linalg.norm(wanted)


def test_a_single_process_has_plain_batch_normalisation(sharded):
    stepper = stepper_of(set_params(sharded, train={"sync_batch_norm": True}), ALONE)

    assert not any(isinstance(module, SyncBatchNorm2d) for module in stepper.detector.modules())


def test_processes_that_normalise_together_split_their_shares_into_equally_many_parts():
    assert part_bounds(5, most=4, largest=5) == [(0, 2), (2, 5)]
    assert part_bounds(4, most=4, largest=5) == [(0, 2), (2, 4)]
    assert part_bounds(4, most=None, largest=5) == [(0, 4)]


@pytest.mark.parametrize(("share", "most", "largest"), [(0, None, 1), (1, 1, 2)])
def test_a_process_without_images_cannot_normalise_with_the_others(share, most, largest):
    with pytest.raises(DeepmarkError, match=r"params\.yaml: train: sync_batch_norm needs an image .* Raise"):
        part_bounds(share, most=most, largest=largest)


@pytest.mark.system
def test_gradients_that_lie_in_the_buckets_of_the_exchange_are_the_same_bits(sharded, tmp_path):
    workspace = set_params(sharded, train={"clip_norm": 10.0})

    def work(group: ProcessGroup) -> list[str]:
        found = []
        for in_buckets in (True, False):
            stepper, batch = stepper_of(workspace, group), share_of(workspace, group)
            if not in_buckets:
                stepper = replace(stepper, model=DistributedDataParallel(stepper.detector))
            for _ in range(3):
                stepper.step([batch, batch], 1e-3)
            found.append(fingerprint(stepper))
        return found

    first, second = on_two_ranks(tmp_path, work)

    assert first[0] == first[1]
    assert second[0] == second[1]
