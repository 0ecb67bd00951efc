"""params.yaml is read strictly, and mistakes are explained."""

import json
import shutil
from pathlib import Path

import pytest

from deepmark.cli.options import Profile
from deepmark.errors import DeepmarkError
from deepmark.params import load_params
from deepmark.params.added import ADDED
from deepmark.params.section import Section
from deepmark.workspace.init import profile_file

ROOT = Path(__file__).parents[1]


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(profile_file("demo"), tmp_path / "params.yaml"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("profile", Profile)
def test_every_profile_is_valid(profile):
    load_params(profile_file(profile))


def without_defaults(section: Section) -> dict[str, object]:
    """The values of the parameters that have no default."""
    dump = section.model_dump(mode="json")
    fields = {name: getattr(section, name) for name, field in type(section).model_fields.items() if field.is_required()}
    return {name: without_defaults(one) if isinstance(one, Section) else dump[name] for name, one in fields.items()}


@pytest.mark.parametrize("name", ["augment", "train", "train.loss_weights", "predict"])
def test_a_switch_that_is_off_is_in_no_digest_and_no_file(name):
    section: Section = load_params(profile_file("demo"))
    for part in name.split("."):
        section = getattr(section, part)
    off = {key: field.default for key, field in type(section).model_fields.items() if not field.is_required()}

    assert off
    assert {f"{name}.{key}": value for key, value in off.items()}.items() <= ADDED.items()
    plain = section.model_copy(update=off)
    assert plain.stored() == without_defaults(plain)
    assert json.loads(plain.stored_json()) == plain.stored()


def test_the_repository_is_a_workspace_with_the_papers_recipe():
    assert (ROOT / "params.yaml").read_text() == profile_file("paper").read_text()


def test_the_papers_recipe_is_the_papers():
    train = load_params(profile_file("paper")).train
    assert (train.epochs, train.batch_size, train.optimizer) == (63, 37, "adam")
    assert train.learning_rate == 3e-4
    assert train.milestones == {50: 3e-5, 53: 1e-5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("target_mib:", "target_mb:", "shard: 'target_mb' is not a parameter. Did you mean 'target_mib'?"),
        ("shard:\n", "shards:\n", "'shards' is not a parameter. Did you mean 'shard'?"),
        ("    size: 0.1", "    sizes: 0.1", "train: loss_weights: 'sizes' is not a parameter. Did you mean 'size'?"),
        ("  epochs: 5\n", "", "train: 'epochs' is missing"),
        ("epochs: 5", "epochs: 0", "train: epochs: Input should be greater than or equal to 1 (found: 0)"),
        ("epochs: 5", "epochs: many", "train: epochs: Input should be a valid integer"),
        ("learning_rate: 1.0e-2", "learning_rate: .nan", "train: learning_rate: Input should be a finite number"),
        (
            "backbone: mobile",
            "backbone: resnet",
            "backbone: Input should be 'dla34', 'hourglass104' or 'mobile'",
        ),
        ("[128, 96]", "[100, 96]", "input_size [100, 96] must be multiples of 32 for backbone mobile"),
        ("backbone: mobile", "backbone: hourglass104", "[128, 96] must be multiples of 128 for backbone hourglass104"),
        ("train_processes: 1", "train_processes: 0", "compute: train_processes: "),
        ("restarts: 20", "restarts: -1", "compute: restarts: Input should be greater than or equal to 0 (found: -1)"),
        ("engine: local", "engine: slurm", "compute: engine: Input should be 'local'"),
        ("mirror: 0.5", "mirror: 1.5", "augment: mirror: Input should be less than or equal to 1"),
        ("  seed: 317", "  seed: -1", "train: seed: Input should be greater than or equal to 0 (found: -1)"),
        ("mirror: 0.5", "mirror: true", "augment: mirror: true and false are no values for it (found: True)"),
    ],
)
def test_a_mistake_is_named_with_its_section_and_key(params_file, old, new, message):
    edit(params_file, old, new)
    with pytest.raises(DeepmarkError) as caught:
        load_params(params_file)
    assert str(params_file) in str(caught.value)
    assert message in str(caught.value)


def test_several_mistakes_are_named_at_once(params_file):
    edit(params_file, "epochs: 5", "epochs: 0")
    edit(params_file, "mirror: 0.5", "mirror: 2")
    with pytest.raises(DeepmarkError, match=r"(?s)mirror.*epochs"):
        load_params(params_file)


@pytest.mark.parametrize("text", ["train: [", "train: {a: 1, a: 2}", "\x00", "just words", "", "[" * 3000])
def test_what_is_not_params_is_refused(params_file, text):
    params_file.write_text(text)
    with pytest.raises(DeepmarkError, match=r"params\.yaml: (cannot be read as YAML|expected sections)"):
        load_params(params_file)


def test_a_key_that_is_there_twice_is_named_without_advice_to_suppress_that(params_file):
    params_file.write_text("train: {a: 1, a: 2}")
    with pytest.raises(DeepmarkError, match='found duplicate key "a"') as caught:
        load_params(params_file)
    assert "suppress" not in str(caught.value)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(DeepmarkError, match=r"no such file.*deepmark init"):
        load_params(tmp_path / "params.yaml")
