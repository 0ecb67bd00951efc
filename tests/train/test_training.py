"""A training is a function of its recipe and data, however often it is cut off."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from workspaces import copied, set_params

from deepmark import stages
from deepmark.data.augment import make_sample
from deepmark.data.sampling import sample_order
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.model.detector import Detector, build_detector, load_network
from deepmark.train import loop
from deepmark.train.best_epoch import measure_ap, update_best
from deepmark.train.checkpoint import newest_checkpoint, restore_checkpoint, run_lock, save_checkpoint
from deepmark.train.distributed.process_group import ProcessGroup, make_deterministic
from deepmark.train.distributed.stop_signal import StoppedError, StopSignal
from deepmark.train.loop import EpochReport, TrainData, TrainState, fit
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.train.targets import collate
from deepmark.workspace.layout import Workspace

ALONE = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=torch.device("cpu"))


class CutOffError(Exception):
    pass


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    make_deterministic(ALONE.device)
    yield
    torch.use_deterministic_algorithms(False)


def new_stepper(workspace: Workspace) -> Stepper:
    params = workspace.params
    detector = build_detector(params.model, seed=params.train.seed)
    return make_stepper(detector, build_optimizer(detector, params.train), params.train, ALONE)


def train(
    workspace: Workspace,
    stepper: Stepper,
    state: TrainState,
    after_step: Callable[[TrainState], None] = lambda state: None,
    stop: StopSignal | None = None,
) -> list[EpochReport]:
    learnt, measured = (ShardReader(workspace.shards(split)) for split in ("train", "validation"))
    params = workspace.params
    data = TrainData(train=learnt, validation=measured, canvas=params.model.input_size, augment=params.augment)
    measure = partial(measure_ap, reader=measured)
    return list(fit(stepper, data, state, stop=stop or StopSignal(), after_step=after_step, measure=measure))


def fingerprint(stepper: Stepper) -> str:
    digest = hashlib.sha256()
    kept = [stepper.detector.state_dict(), stepper.average.state_dict() if stepper.average is not None else {}]
    moments = [state for _, state in sorted(stepper.optimizer.state_dict()["state"].items())]
    for state in (*kept, *moments):
        for name in sorted(state):
            digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()


def save(folder: Path, stepper: Stepper, state: TrainState) -> Path:
    return save_checkpoint(folder, stepper, state, facts={"mlflow_run_id": "7"}, kept=2)


def resume(folder: Path, stepper: Stepper) -> tuple[TrainState, dict]:
    path = newest_checkpoint(folder)
    assert path is not None
    return restore_checkpoint(path, stepper)


@pytest.fixture(scope="module", params=["plain", "everything"])
def finished(
    request: pytest.FixtureRequest, sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, str, TrainState]:
    """Trained to the end: the demo's recipe, and one with all that a run may carry from step to step."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("finished"))
    if request.param == "everything":
        set_params(workspace, train={"ema": 0.9, "evaluate_every": 1, "not_finite": "skip", "device_batch": 3})
    workspace = Workspace(workspace.root)
    make_deterministic(ALONE.device)
    stepper, state = new_stepper(workspace), TrainState()
    train(workspace, stepper, state)
    return workspace, fingerprint(stepper), state


def losses_of(history: list[dict]) -> list[tuple[dict, dict]]:
    return [(epoch["train"], epoch["validation"], epoch["measured"]) for epoch in history]


def test_the_same_recipe_gives_the_same_weights(finished):
    workspace, expected, _ = finished
    stepper = new_stepper(workspace)
    train(workspace, stepper, TrainState())
    assert fingerprint(stepper) == expected


def test_the_number_of_threads_changes_nothing(finished, monkeypatch):
    workspace, expected, _ = finished
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", "5")
    stepper = new_stepper(workspace)
    train(workspace, stepper, TrainState())
    assert fingerprint(stepper) == expected


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_a_run_cut_off_after_any_step_goes_on_to_the_same_end(finished, tmp_path, cut):
    workspace, expected, whole = finished
    stepper, done = new_stepper(workspace), 0

    def cut_off(state: TrainState) -> None:
        nonlocal done
        done += 1
        if done == cut:
            save(tmp_path, stepper, state)
            raise CutOffError

    with pytest.raises(CutOffError):
        train(workspace, stepper, TrainState(), cut_off)
    again = new_stepper(workspace)
    state, facts = resume(tmp_path, again)
    assert facts == {"mlflow_run_id": "7"}
    train(workspace, again, state)
    assert fingerprint(again) == expected
    assert losses_of(state.history) == losses_of(whole.history)
    assert (state.best is None) == (whole.best is None)
    if state.best is not None and whole.best is not None:
        assert (state.best.epoch, state.best.value) == (whole.best.epoch, whole.best.value)
        assert all(torch.equal(state.best.weights[name], value) for name, value in whole.best.weights.items())


def test_training_lowers_the_loss(sharded):
    stepper, state = new_stepper(sharded), TrainState()
    reports = train(sharded, stepper, state)
    assert reports[1].train["total"] < reports[0].train["total"]


def test_the_parts_of_the_loss_add_up_to_the_total(sharded):
    report = train(sharded, new_stepper(sharded), TrainState())[0]
    parts = {name: value for name, value in report.train.items() if name != "total"}
    assert len(parts) == 6
    assert sum(parts.values()) == pytest.approx(report.train["total"], rel=1e-5)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """From here on, the named picture, in training, is not a number for the network, and all it touches is none."""
    make, normalize = loop.make_sample, Detector.normalize

    def poison(key: str) -> str:
        def make_sample(record, jpeg, **words):
            sample = make(record, jpeg, **words)
            if record.id == int(key) and words["augment"] is not None:
                sample.image[:] = 255
            return sample

        monkeypatch.setattr(loop, "make_sample", make_sample)
        return key

    def spoil(detector, images):
        bad = (images == 255).flatten(1).all(dim=1)
        return torch.where(bad[:, None, None, None], torch.nan, normalize(detector, images))

    monkeypatch.setattr(Detector, "normalize", spoil)
    return poison


def poisoned_key(workspace: Workspace) -> str:
    """The first picture of the second step."""
    reader = ShardReader(workspace.shards("train"))
    order = sample_order(len(reader), seed=workspace.params.train.seed, epoch=0)
    return reader.key(int(order[4]))


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_pictures(sharded, poisoned):
    key = poisoned(poisoned_key(sharded))

    with pytest.raises(DeepmarkError, match=rf"epoch 1, step 2: the loss is not a number \(.*{key}.*learning_rate"):
        train(sharded, new_stepper(sharded), TrainState())


def test_the_step_of_such_a_batch_can_be_left_out_and_leaves_no_trace(sharded, poisoned, caplog):
    workspace = set_params(sharded, train={"not_finite": "skip", "ema": 0.9})
    key = poisoned(poisoned_key(sharded))
    stepper, state, seen = new_stepper(workspace), TrainState(), []

    reports = train(workspace, stepper, state, lambda state: seen.append(fingerprint(stepper)))

    assert [report.skipped for report in reports] == [1, 1]
    assert f"Pictures: {key}" in caplog.text
    assert seen[1] == seen[0] != seen[2]
    assert all(value.isfinite().all() for value in stepper.detector.state_dict().values())
    assert np.isfinite(reports[0].train["total"])


def test_a_run_whose_weights_are_spoiled_stops_even_where_steps_may_be_left_out(sharded):
    workspace = set_params(sharded, train={"not_finite": "skip", "epochs": 9})
    stepper = new_stepper(workspace)
    with torch.no_grad():
        next(stepper.detector.parameters()).fill_(float("nan"))

    with pytest.raises(DeepmarkError, match=r"20 steps in a row.*--fresh"):
        train(workspace, stepper, TrainState(step=0, skipped_in_a_row=18))


def test_a_batch_in_parts_gives_the_gradient_of_the_whole(sharded):
    reader, params = ShardReader(sharded.shards("train")), sharded.params
    samples = [
        make_sample(*reader[index], canvas=(64, 64), augment=None, rng=np.random.default_rng(0)) for index in range(5)
    ]
    found = []
    for parts in ([samples], [samples[:2], samples[2:4], samples[4:]]):
        stepper = new_stepper(set_params(sharded, train={"clip_norm": None}))
        stepper.detector.eval()  # normalisation by running statistics: those of a batch differ from those of its parts
        result = stepper.step([collate(part) for part in parts], params.train.learning_rate)
        found.append((result.losses, [weight.grad.clone() for weight in stepper.detector.parameters()]))

    (whole, gradients), (summed, parts_gradients) = found
    assert summed == pytest.approx(whole, rel=1e-5)
    for part, gradient in zip(parts_gradients, gradients, strict=True):
        torch.testing.assert_close(part, gradient, rtol=1e-3, atol=1e-6 + 1e-4 * gradient.abs().max().item())


def test_the_average_follows_the_weights_and_is_what_is_measured(sharded):
    stepper = new_stepper(set_params(sharded, train={"ema": 0.5}))
    weight, average = next(stepper.detector.parameters()), next(stepper.kept.parameters())
    expected, steps = [], []

    def after_step(state: TrainState) -> None:
        done = len(steps)
        decay = min(0.5, (1 + done) / (10 + done))
        expected.append(decay * expected[-1] + (1 - decay) * weight.detach() if steps else weight.detach().clone())
        steps.append(state.step)

    train(sharded, stepper, TrainState(), after_step)

    assert stepper.kept is not stepper.detector
    torch.testing.assert_close(average.detach(), expected[-1])
    assert not torch.equal(average, weight)


def test_the_weights_of_the_best_epoch_are_kept(sharded, monkeypatch):
    workspace = set_params(sharded, train={"epochs": 4, "evaluate_every": 1, "best_by": "landmark_ap"})
    figures = iter([0.1, 0.4, 0.4, 0.3])
    monkeypatch.setattr(
        "test_training.measure_ap", lambda stepper, reader: {"box_ap": 0.0, "landmark_ap": next(figures)}
    )
    stepper, state, seen = new_stepper(workspace), TrainState(), []
    train(workspace, stepper, state, lambda state: seen.append(next(stepper.detector.parameters()).clone()))

    assert state.best is not None
    assert (state.best.epoch, state.best.value) == (1, 0.4)
    assert torch.equal(next(iter(state.best.weights.values())), seen[5])
    assert [epoch["measured"]["landmark_ap"] for epoch in state.history] == [0.1, 0.4, 0.4, 0.3]


@pytest.mark.parametrize(
    ("by", "figures", "kept"),
    [
        ("landmark_ap", [0.2, None, 0.3, 0.1], 2),
        ("box_ap", [None, 0.0, 0.0], 1),
        ("loss", [5.0, 4.0, 6.0, 4.0], 1),
        ("loss", [1.0, 2.0], 0),
    ],
)
def test_a_figure_knows_which_way_is_better(sharded, by, figures, kept):
    stepper = new_stepper(set_params(sharded, train={"best_by": by}))
    best = None
    for epoch, value in enumerate(figures):
        best = update_best(best, epoch, {by: value}, stepper)

    assert best is not None
    assert (best.epoch, best.value) == (kept, figures[kept])


def test_ap_in_training_is_that_of_the_stages(trained):
    params = trained.params.train.model_copy(update={"precision": "fp32"})
    detector = load_network(trained.model_file)
    stepper = make_stepper(detector, build_optimizer(detector, params), params, ALONE)
    stages.predict(trained, strategy="nms")
    metrics = stages.evaluate(trained, strategy="nms")

    found = measure_ap(stepper, ShardReader(trained.shards("validation")))

    assert found == pytest.approx({"box_ap": metrics["box"]["AP"], "landmark_ap": metrics["landmarks"]["AP"]})


def test_a_second_training_of_the_same_recipe_is_kept_out(tmp_path, monkeypatch):
    monkeypatch.setattr("deepmark.train.checkpoint.LOCK_SECONDS", 0.0)
    with (
        run_lock(tmp_path),
        pytest.raises(DeepmarkError, match=rf"being trained already, by process {os.getpid()} on .*stop it"),
        run_lock(tmp_path),
    ):
        pass
    with run_lock(tmp_path):
        pass


def test_only_the_last_checkpoints_are_kept(sharded, tmp_path):
    stepper = new_stepper(sharded)
    for step in range(1, 6):
        save(tmp_path / "run", stepper, TrainState(step=step))

    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["epoch-0000-step-00000004", "epoch-0000-step-00000005"]


def test_what_a_killed_process_left_half_written_is_cleared_away(sharded, tmp_path):
    (tmp_path / "run/epoch-0000-step-00000001.unfinished").mkdir(parents=True)
    save(tmp_path / "run", new_stepper(sharded), TrainState(step=2))

    assert [path.name for path in (tmp_path / "run").iterdir()] == ["epoch-0000-step-00000002"]


@pytest.mark.parametrize(
    "file", ["state.json", *(f"{name}.safetensors" for name in ("weights", "optimizer", "average", "best"))]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(full_checkpoint, tmp_path, caplog, file, damage):
    shutil.copytree(full_checkpoint, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "epoch-0000-step-00000002" / file
    data = bytearray(path.read_bytes())
    if damage == "flip":
        place = int(np.random.default_rng(0).integers(len(data)))
        data[place] ^= 1
    path.unlink()
    if damage != "remove":
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)

    assert newest_checkpoint(tmp_path) == tmp_path / "epoch-0000-step-00000001"
    assert "step-00000002: damaged" in caplog.text


@pytest.fixture(scope="module")
def full_checkpoint(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints with everything that one may hold."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("full"))
    stepper = new_stepper(set_params(workspace, train={"ema": 0.9, "epochs": 1}))
    state = TrainState()
    train(Workspace(workspace.root), stepper, state)
    best = update_best(None, 0, {"landmark_ap": 0.5}, stepper)
    folder = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2):
        save(folder, stepper, TrainState(step=step, best=best))
    return folder


def test_without_a_checkpoint_a_run_starts_anew(tmp_path):
    assert newest_checkpoint(tmp_path / "nothing") is None


class ToldAfter(StopSignal):
    """Hears that it should end while the given step is made."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    @property
    def is_received(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_told_to_end_a_run_stops_after_the_step_with_all_of_it_counted(sharded):
    stepper, state = new_stepper(sharded), TrainState()

    with pytest.raises(StoppedError):
        train(sharded, stepper, state, stop=ToldAfter(1))

    assert (state.epoch, state.step) == (0, 2)
