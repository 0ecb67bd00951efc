"""What the processes of a training exchange: they agree on a step that is left out, and gather detections by gloo."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from one_process import fingerprint
from torch import distributed as dist
from two_ranks import CPU, on_two_ranks
from workspaces import set_params

from deepmark.data.augment import make_sample
from deepmark.data.shards.reader import ShardReader
from deepmark.model.detector import build_detector, load_network
from deepmark.train.best_epoch import measure_ap
from deepmark.train.distributed.process_group import BACKENDS, ProcessGroup
from deepmark.train.loop import validate
from deepmark.train.optim import build_optimizer
from deepmark.train.run import make_data
from deepmark.train.step import Stepper, make_stepper
from deepmark.train.targets import Batch, collate
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def stepper_of(workspace: Workspace, group: ProcessGroup) -> Stepper:
    params = workspace.params
    detector = build_detector(params.model, DEEPFASHION2, seed=0)
    return make_stepper(detector, build_optimizer(detector, params.train), params.train, group)


def parts_of(workspace: Workspace, rank: int) -> list[Batch]:
    """Two parts of two images each, other ones for each rank."""
    reader, rng = ShardReader(workspace.shards("train")), np.random.default_rng(0)
    samples = [
        make_sample(*reader[4 * rank + n], canvas=(64, 64), augment=None, rng=rng, vocabulary=reader.vocabulary)
        for n in range(4)
    ]
    return [collate(samples[:2]), collate(samples[2:])]


@pytest.mark.system
def test_ranks_agree_on_a_step_that_overflowed_in_one_part_on_one_of_them(sharded, tmp_path):
    def work(group: ProcessGroup) -> tuple:
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        stepper, parts = replace(stepper_of(sharded, group), scaler=scaler), parts_of(sharded, group.rank)
        passes = iter(range(99))

        def spoil(_module: object, _inputs: object, output: torch.Tensor) -> None:
            """Make the gradient of the first part infinite, on the second rank."""
            if next(passes) == 0 and group.rank == 1:
                output.register_hook(lambda gradient: torch.full_like(gradient, torch.inf))

        stepper.detector.heads.landmark_heatmap.register_forward_hook(spoil)
        before, done = fingerprint(stepper), []
        for _ in range(2):
            result = stepper.step(parts, 1e-3)
            weights = [weight.detach().double().sum().item() for weight in stepper.detector.parameters()]
            done.append((result.is_finite, result.bad_gradients, scaler.get_scale(), fingerprint(stepper) == before))
        return done, weights

    (done, weights), (others, others_weights) = on_two_ranks(tmp_path, work)

    assert done == others == [(False, ("landmark_heatmap",), 512.0, True), (True, (), 512.0, False)]
    assert weights == others_weights


@pytest.mark.system
def test_ap_measured_by_two_processes_is_that_of_one(two_once, tmp_path):
    def work(group: ProcessGroup) -> dict[str, float | None]:
        params, detector = two_once.params.train, load_network(two_once.model_file)
        stepper = make_stepper(detector, build_optimizer(detector, params), params, group)
        return measure_ap(stepper, ShardReader(two_once.shards("validation")))

    alone = work(ProcessGroup(rank=0, world_size=1, local_world_size=1, device=CPU))

    assert on_two_ranks(tmp_path, work) == [alone, alone]


@pytest.mark.system
def test_a_process_without_a_validation_image_takes_part_in_the_mean(sharded, tmp_path):
    single = set_params(sharded, train={"batch_size": 1})
    readers = {split: ShardReader(single.shards(split)) for split in ("train", "validation")}

    def work(group: ProcessGroup) -> dict[str, float]:
        return validate(stepper_of(single, group), make_data(single.params, **readers, group=group))

    alone = work(ProcessGroup(rank=0, world_size=1, local_world_size=1, device=CPU))

    assert on_two_ranks(tmp_path, work) == [alone, alone]


def test_beside_nccl_objects_go_through_gloo_and_the_machines_memory():
    backends = dist.distributed_c10d.BackendConfig(BACKENDS["cuda"]).get_device_backend_map()

    assert backends == {"cpu": "gloo", "cuda": "nccl"}
    assert BACKENDS["cpu"] == "gloo"
