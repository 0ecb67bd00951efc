"""A workspace of an earlier release gets what is new: no result changes, and the rest is untouched."""

import shutil

import pytest
from ruamel.yaml import YAML
from workspaces import REPOSITORY, run

from assets.dvc.graph import read_graph
from deepmark.errors import DeepmarkError
from deepmark.params import Params, Section, load_params
from deepmark.params.added import ADDED
from deepmark.workspace.init import dvc_yaml, init_workspace, profile_file
from deepmark.workspace.layout import Workspace
from deepmark.workspace.upgrade import plan_upgrade
from deepmark.workspace.yaml_lines import spans

FIRST = {
    *("data.raw", "ingest.max_rejected_share", "ingest.max_megapixels", "shard.seed", "shard.target_mib"),
    *("model.backbone", "model.input_size", "augment.scale", "augment.shift", "augment.mirror", "augment.color"),
    *("augment.lighting", "train.seed", "train.epochs", "train.batch_size", "train.optimizer", "train.learning_rate"),
    *("train.schedule", "train.milestones", "train.warmup", "train.weight_decay", "train.clip_norm", "train.precision"),
    *("train.landmark_channels", "train.checkpoint_minutes", "predict.batch_size", "predict.precision"),
    *("predict.max_detections", "predict.landmark_threshold", "predict.nms", "predict.nms_iou"),
    *("predict.soft_nms_sigma", "predict.min_score", "predict.scales", "report.pictures", "report.min_score"),
    *(f"train.loss_weights.{name}" for name in ("center_heatmap", "size", "center_offset", "landmark_heatmap")),
    *("train.loss_weights.landmark_vectors", "train.loss_weights.landmark_offset"),
}
"""The parameters that the first workspaces had."""


def parameters(section: type[Section], above: str = "") -> set[str]:
    names = set()
    for name, field in section.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        names |= parameters(field.annotation, f"{above}{name}.") if is_section else {f"{above}{name}"}
    return names


def without(text: str, names: set[str]) -> str:
    """A params.yaml without the lines of some parameters, and of the sections that are empty then."""
    lines = text.splitlines()
    there = spans(lines)
    gone = {name: span for name, span in there.items() if name in names}
    for name in there:
        below = {one for one in parameters(Params) if one.startswith(f"{name}.")}
        if below and below <= names:
            gone[name] = there[name]
    numbers = {number for first, last in gone.values() for number in range(first, last)}
    return "\n".join(line for number, line in enumerate(lines) if number not in numbers) + "\n"


@pytest.fixture(params=["demo", "paper", "modern"])
def old(request, tmp_path):
    """A workspace with the parameters of the first ones, and nothing that DVC has run."""
    shutil.copyfile(dvc_yaml(), tmp_path / "dvc.yaml")
    text = without(profile_file(request.param).read_text("utf-8"), set(ADDED))
    (tmp_path / "params.yaml").write_text(text + "# the end, by me\n", "utf-8")
    return Workspace(tmp_path)


def test_every_parameter_is_one_of_the_first_or_has_a_value_for_earlier_workspaces():
    assert parameters(Params) == FIRST | set(ADDED)
    assert not FIRST & set(ADDED)


def test_what_is_new_is_added_and_every_other_line_stays(old, deepmark):
    before = (old.root / "params.yaml").read_text("utf-8").splitlines()
    done = deepmark("upgrade", "--workspace", old.root)
    after = (old.root / "params.yaml").read_text("utf-8").splitlines()

    assert done.code == 0
    assert [line for line in after if line in before and line] == [line for line in before if line]
    assert {line[1:] for line in done.out.splitlines() if line.startswith("+ ")} <= set(after)
    assert not [line for line in done.out.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert "+  ema: null                     # decay a step of a moving average of the weights" in done.out
    assert Workspace(old.root).params.train.evaluate_every == 0
    assert (
        deepmark("upgrade", "--workspace", old.root).out == "Nothing is missing: this is a workspace of this release.\n"
    )


def test_a_dry_run_shows_the_difference_and_writes_nothing(old, deepmark):
    before = (old.root / "params.yaml").read_text("utf-8")
    facts = deepmark("upgrade", "--workspace", old.root, "--dry-run", "--json").facts

    assert facts["parameters"] == ADDED
    assert facts["stages"] == facts["removed"] == []
    assert not facts["written"]
    assert "+++ b/params.yaml" in facts["difference"]
    assert (old.root / "params.yaml").read_text("utf-8") == before


def test_without_an_upgrade_one_message_names_it(old):
    with pytest.raises(DeepmarkError, match=r"it lacks .*train\.ema.*`deepmark upgrade` makes it one of this") as error:
        load_params(old.root / "params.yaml")
    assert len(str(error.value).splitlines()) == 1


LAUNCH = """  launch:
    nnodes: 2                   # machines
    # the machines in the cellar
    nproc_per_node: 8           # one a GPU
    rendezvous: cellar-1:29400
    timeout_seconds: 90
"""


def with_launch(text: str) -> str:
    """A params.yaml of the releases that had `train.launch`."""
    text = without(text, {"compute.train_processes", "compute.timeout_seconds"})
    return text.replace("  checkpoints_kept: 2\n", f"  checkpoints_kept: 2\n{LAUNCH}")


@pytest.fixture
def launching(tmp_path):
    """A workspace of the releases that had `train.launch`."""
    shutil.copyfile(dvc_yaml(), tmp_path / "dvc.yaml")
    (tmp_path / "params.yaml").write_text(with_launch(profile_file("paper").read_text("utf-8")), "utf-8")
    return Workspace(tmp_path)


def test_the_section_that_launched_a_training_becomes_part_of_compute(launching, deepmark):
    before = (launching.root / "params.yaml").read_text("utf-8").splitlines()
    done = deepmark("upgrade", "--workspace", launching.root)
    after = (launching.root / "params.yaml").read_text("utf-8").splitlines()

    assert done.code == 0
    gone = {line for line in LAUNCH.splitlines() if "#" not in line.split(":")[0]}
    assert [line for line in after if line in before] == [line for line in before if line not in gone]
    compute = Workspace(launching.root).params.compute
    assert (compute.train_processes, compute.timeout_seconds) == (16, 90)  # 8 processes on each of 2 machines
    assert plan_upgrade(launching.root).difference() == ""


@pytest.mark.parametrize(
    ("launch", "processes", "seconds"),
    [
        ("{nproc_per_node: auto, nnodes: 2, rendezvous: a:1}", "auto", 600),
        ("{nproc_per_node: 3}", 3, 600),
        ("", "auto", 600),
    ],
)
def test_a_section_in_one_line_and_one_that_is_cut_are_understood(launching, launch, processes, seconds):
    file = launching.root / "params.yaml"
    file.write_text(file.read_text("utf-8").replace(LAUNCH, f"  launch: {launch}\n"), "utf-8")
    plan_upgrade(launching.root).write()

    compute = Workspace(launching.root).params.compute
    assert (compute.train_processes, compute.timeout_seconds) == (processes, seconds)


def test_until_then_every_command_says_in_one_line_what_to_do(launching, deepmark):
    done = deepmark("train", "--workspace", launching.root)

    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "of an earlier release, train.launch has become the section compute. `deepmark upgrade` makes it" in done.err


def test_a_stage_that_is_new_is_added_to_the_dvc_yaml_of_people(tmp_path):
    shutil.copyfile(profile_file("demo"), tmp_path / "params.yaml")
    text = dvc_yaml().read_text("utf-8")
    first, last = text.index("  audit:\n"), text.index("  report:\n")
    mine = text[:first] + text[last:].replace("cmd: deepmark report", "cmd: deepmark report  # as I like it")
    (tmp_path / "dvc.yaml").write_text(mine, "utf-8")

    upgrade = plan_upgrade(tmp_path)
    upgrade.write()

    assert upgrade.stages == ["audit"]
    assert not [line for line in upgrade.difference().splitlines() if line.startswith("-") and line[1] != "-"]
    stages = {family.name: family for family in read_graph(tmp_path).families}
    assert stages["audit"].stages[0].command == "deepmark audit"
    assert "# as I like it" in (tmp_path / "dvc.yaml").read_text("utf-8")


def test_a_file_that_has_no_place_for_new_lines_stays_as_it_is(tmp_path):
    shutil.copyfile(dvc_yaml(), tmp_path / "dvc.yaml")
    values = YAML(typ="safe").load(profile_file("demo").read_text("utf-8"))
    del values["train"]["ema"]
    yaml = YAML(typ="safe")
    yaml.default_flow_style = True
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(values, file)

    with pytest.raises(DeepmarkError, match=r"no clear place .*Write these parameters into it: train\.ema: null"):
        plan_upgrade(tmp_path)


@pytest.mark.slow
def test_dvc_runs_nothing_again(tmp_path):
    root = init_workspace(tmp_path / "new", "demo").root
    full = (root / "params.yaml").read_text("utf-8")
    (root / "params.yaml").write_text(with_launch(without(full, {"train.ema"})), "utf-8")
    (root / "dvc.yaml").write_text("stages:\n  learn:\n    cmd: touch out\n    params: [train]\n    outs: [out]\n")
    assert run("dvc", "repro", "--quiet", cwd=root).code == 0

    stages = plan_upgrade(root)
    stages.write()

    assert stages.parameters == {"train.ema": None, "compute.train_processes": 16, "compute.timeout_seconds": 90}
    assert stages.removed == ["train.launch"]
    assert run("dvc", "status", "--json", "learn", cwd=root).facts == {}


def test_the_repository_is_of_this_release():
    assert plan_upgrade(REPOSITORY).difference() == ""


@pytest.mark.parametrize(("text", "why"), [("a: [", "not YAML"), ("<<<<<<< HEAD\na: 1\n", "line 1: two versions")])
def test_a_params_yaml_that_cannot_be_read_is_left_to_its_author(tmp_path, text, why):
    shutil.copyfile(dvc_yaml(), tmp_path / "dvc.yaml")
    (tmp_path / "params.yaml").write_text(text)

    with pytest.raises(DeepmarkError, match=why):
        plan_upgrade(tmp_path)
    assert (tmp_path / "params.yaml").read_text() == text
