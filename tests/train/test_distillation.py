"""A smaller network learns from the maps of a larger one: the loss, its gradients, the run, and what is refused."""

import pytest
import torch
from layouts import HEAD_CHANNELS, LAYOUTS, layout_of
from one_process import fingerprint, new_stepper, train
from test_loss import WEIGHTS, compute, make_batch, random_maps
from vocabularies import SMALL
from workspaces import set_params

from deepmark.model.detector import build_detector, save_detector
from deepmark.model.heads import HeadMaps
from deepmark.params import model_params
from deepmark.train.distillation import teacher_loss
from deepmark.train.loop import TrainState
from deepmark.train.loss import loss_names
from deepmark.train.loss_targets import loss_targets
from deepmark.train.run_id import run_folder
from deepmark.train.targets import Targets, make_targets
from deepmark.vocabulary import DEEPFASHION2

TAUGHT = WEIGHTS.model_copy(update={"teacher": 0.5})


def distance(maps: HeadMaps, others: HeadMaps, targets: Targets) -> torch.Tensor:
    ours, theirs = (each.gather_at(*targets.cells) for each in (maps, others))
    goals = loss_targets(targets, layout_of(maps))
    return teacher_loss(ours, theirs, goals, weights=WEIGHTS, counts=goals.counts)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_loss_is_its_plain_definition(layout):
    targets = make_targets(make_batch(), DEEPFASHION2)
    maps, others = (random_maps(4, seed=seed, layout=layout) for seed in (1, 2))
    garments, points = targets.counts.tolist()
    wanted = (maps.center_heatmap.sigmoid() - others.center_heatmap.sigmoid()).square().sum().item() / garments
    wanted += (maps.landmark_heatmap.sigmoid() - others.landmark_heatmap.sigmoid()).square().sum().item() / points
    centers, landmarks = targets.centers, targets.landmarks_on(layout)
    for image, x, y in zip(centers.image.tolist(), centers.x.tolist(), centers.y.tolist(), strict=True):
        for name in ("size", "center_offset"):
            apart = getattr(maps, name)[image, :, y, x] - getattr(others, name)[image, :, y, x]
            wanted += getattr(WEIGHTS, name) * apart.abs().sum().item() / (2 * garments)
    for number, garment in enumerate(targets.landmark_garment.tolist()):
        image, x, y = (int(getattr(centers, name)[garment]) for name in ("image", "x", "y"))
        channel = int(landmarks.channel[number])
        vectors = [each.landmark_vectors[image, 2 * channel : 2 * channel + 2, y, x] for each in (maps, others)]
        wanted += (vectors[0] - vectors[1]).abs().sum().item() / (2 * points)
        image, x, y = (int(getattr(landmarks, name)[number]) for name in ("image", "x", "y"))
        offsets = [each.landmark_offset[image, :, y, x] for each in (maps, others)]
        wanted += (offsets[0] - offsets[1]).abs().sum().item() / (2 * points)

    assert distance(maps, others, targets).item() == pytest.approx(wanted, rel=1e-4)
    assert distance(maps, maps, targets).item() == 0


def test_the_gradient_equals_finite_differences():
    targets = make_targets(make_batch(), DEEPFASHION2)
    others = random_maps(4, seed=2)
    generator = torch.Generator().manual_seed(3)
    for name in HEAD_CHANNELS:
        plain = {key: getattr(random_maps(4, seed=1), key).detach().double() for key in HEAD_CHANNELS}
        exact = HeadMaps(**{key: getattr(others, key).detach().double() for key in HEAD_CHANNELS})
        leaf = plain[name].requires_grad_()
        loss = distance(HeadMaps(**plain), exact, targets)
        (slope,) = torch.autograd.grad(loss, leaf)
        way = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        ahead, behind = (
            distance(HeadMaps(**plain | {name: leaf.detach() + step * way}), exact, targets).item()
            for step in (1e-6, -1e-6)
        )
        assert (slope * way).sum().item() == pytest.approx((ahead - behind) / 2e-6, rel=1e-3, abs=1e-6), name


def test_it_is_a_part_of_the_total_with_a_name_and_own_channels_alone_if_others_are_not_learnt():
    targets = make_targets(make_batch(), DEEPFASHION2)
    maps, others = random_maps(4, seed=1), random_maps(4, seed=2).gather_at(*targets.cells)
    plain, taught, own = (
        compute(maps, targets, weights=weights, taught=given, own=channels)
        for weights, given, channels in ((WEIGHTS, None, False), (TAUGHT, others, False), (TAUGHT, others, True))
    )

    assert tuple(plain.parts) == loss_names(WEIGHTS)
    assert tuple(taught.parts) == loss_names(TAUGHT)
    assert taught.total.item() == pytest.approx(plain.total.item() + 0.5 * taught.teacher.item(), rel=1e-6)
    assert 0 < own.teacher.item() < taught.teacher.item()


@pytest.fixture
def with_teacher(sharded):
    """A workspace whose network learns from an untrained one of the same kind."""
    params = sharded.params.model
    save_detector(build_detector(params, DEEPFASHION2, seed=5), sharded.root / "teacher.safetensors")
    return set_params(sharded, train={"teacher": "teacher.safetensors", "loss_weights": {"teacher": 1.0}})


@pytest.mark.slow
def test_a_run_with_a_teacher_has_its_curve_and_leaves_the_teacher_as_it_is(with_teacher):
    stepper = new_stepper(with_teacher)
    before = {name: value.clone() for name, value in stepper.teacher.state_dict().items()}
    reports = train(with_teacher, stepper, TrainState())

    assert all(torch.equal(before[name], value) for name, value in stepper.teacher.state_dict().items())
    for report in reports:
        assert min(report.train["teacher"], report.validation["teacher"]) > 0
    again = new_stepper(with_teacher)
    train(with_teacher, again, TrainState())
    assert fingerprint(again) == fingerprint(stepper)


def test_the_teacher_is_part_of_the_runs_identity(with_teacher):
    before = run_folder(with_teacher)
    save_detector(
        build_detector(with_teacher.params.model, DEEPFASHION2, seed=6), with_teacher.root / "teacher.safetensors"
    )

    assert run_folder(with_teacher) != before


def test_a_teacher_that_cannot_teach_is_told(sharded, deepmark):
    def refusal(**changes):
        done = deepmark("train", "--workspace", set_params(sharded, **changes).root)
        assert (done.code, done.out, done.err.count("Traceback")) == (1, "", 0)
        return done.err

    on = {"teacher": "teacher.safetensors", "loss_weights": {"teacher": 1.0}}
    assert "a teacher needs loss_weights: teacher above 0" in refusal(train=on | {"loss_weights": {"teacher": 0.0}})
    assert "teacher.safetensors is not there. Copy there the model.safetensors" in refusal(train=on)

    file = sharded.root / "teacher.safetensors"
    save_detector(build_detector(sharded.params.model, SMALL, seed=1), file)
    assert "teacher.safetensors has the vocabulary accessories, but the training data has DeepFashion2" in refusal()

    save_detector(
        build_detector(
            model_params(backbone="mobile", input_size=(64, 64), landmark_maps="grouped"), DEEPFASHION2, seed=1
        ),
        file,
    )
    assert "has grouped landmark maps, and model.landmark_maps is separate. Take a teacher" in refusal()
