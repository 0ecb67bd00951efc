"""The networks at the start of a training: the one that is trained, and its teacher."""

import sys

from deepmark.errors import DeepmarkError
from deepmark.model.detector import Detector, build_detector, load_network
from deepmark.model.init_weights import start_from
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.run_id import init_file, teacher_file
from deepmark.vocabulary import Vocabulary, check_same
from deepmark.workspace.layout import Workspace


def start_detector(workspace: Workspace, vocabulary: Vocabulary, group: ProcessGroup) -> Detector:
    """The network at the start of a run, on the group's device, for the garments of this vocabulary."""
    params, init = workspace.params, init_file(workspace)
    seed, channels_last = params.train.seed, params.train.channels_last
    detector = build_detector(params.model, vocabulary, seed=seed, channels_last=channels_last)
    if init is not None:
        taken = start_from(detector, init)
        if group.is_first:
            left = ", ".join(taken["heads_left"]) or "none"
            other = f" of the vocabulary {taken['vocabulary']}" if taken["vocabulary"] != vocabulary.name else ""
            print(f"starts from {init}{other}: {taken['tensors_taken']} tensors; heads left: {left}", file=sys.stderr)
    return detector.to(group.device)


def load_teacher(workspace: Workspace, vocabulary: Vocabulary, group: ProcessGroup) -> Detector | None:
    """The network in the file of `train.teacher`, ready to detect, on the group's device; None where none is named.

    Raises DeepmarkError where the file is missing or damaged, and where its vocabulary or its maps are not those of the
    network that is trained.
    """
    params = workspace.params
    path = teacher_file(workspace)
    if path is None:
        return None
    teacher = load_network(path, device=group.device)
    remedy = "Take a teacher that was trained for this vocabulary, or set train.teacher to null."
    check_same(teacher.vocabulary, f"params.yaml: train: teacher: {path}", vocabulary, "the training data", remedy)
    own, sides = params.model.landmark_maps, params.model.input_size
    if teacher.params.landmark_maps != own:
        raise DeepmarkError(
            f"params.yaml: train: teacher: {path} has {teacher.params.landmark_maps} landmark maps, and model.landmark_"
            f"maps is {own}. Take a teacher with the same, or change model.landmark_maps."
        )
    if any(side % teacher.params.size_divisor for side in sides):
        raise DeepmarkError(
            f"params.yaml: train: teacher: {path} is a {teacher.params.backbone}, which needs sides that are multiples "
            f"of {teacher.params.size_divisor}, and model.input_size is {list(sides)}. Change it, or the teacher."
        )
    teacher.requires_grad_(False)
    return teacher
