"""register, promote, rollback, models: as a team uses them, and as a bad day leaves them."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from releases import evaluated
from workspaces import copied, refused, set_params

from deepmark import stages
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.infer import predict_file
from deepmark.registry import promote as release
from deepmark.registry.cached_evaluation import EVALUATION_TAG
from deepmark.registry.promote import PROMOTION_TAG, RefusedError, promote, rollback
from deepmark.registry.register import register
from deepmark.registry.versions import CHALLENGER, CHAMPION, Registry, with_alias
from deepmark.serving.logged_model import CHECKPOINT_TAG
from deepmark.synthetic import draw_dataset


@pytest.fixture(scope="module")
def pair_once(trained_once, tmp_path_factory):
    workspace = copied(trained_once, tmp_path_factory.mktemp("pair"))
    shutil.rmtree(workspace.runs)  # checkpoints of the training: most of what every copy would copy
    workspace = set_params(workspace, evaluate={"resamples": 20})
    register(evaluated(workspace, finds_every=2))
    promote(workspace)
    register(evaluated(workspace, finds_every=1, seed=7))
    return workspace


@pytest.fixture
def pair(pair_once, tmp_path):
    """Version 1 is champion and finds every second picture's garments; version 2 is challenger and finds all."""
    return copied(pair_once, tmp_path)


@pytest.fixture
def worse(pair):
    """The same, where the challenger finds less than the champion: its figures are changed."""
    registry = Registry(pair.root)
    registry.set_alias(CHAMPION, 2)
    registry.set_alias(CHALLENGER, 1)
    return pair


def aliases(workspace):
    return {one.number: one.aliases for one in Registry(workspace.root).versions()}


def tags(workspace, number):
    return next(one.tags for one in Registry(workspace.root).versions() if one.number == number)


def cannot_predict(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("predicted")

    monkeypatch.setattr(predict_file, "predict_file", refuse)


def test_a_version_says_where_it_comes_from_and_how_good_it_is(pair):
    own = tags(pair, 2)

    assert own[CHECKPOINT_TAG] == file_sha256(pair.model_file)
    assert len(own["params.sha256"]) == 64
    assert own["workspace.commit"].endswith("-dirty")
    assert own["nms.landmark_ap"] == "1.0000"
    assert json.loads(own["network"])["params"]["backbone"] == "mobile"
    assert json.loads(own[EVALUATION_TAG])["figures"]["box_ap"] == pytest.approx(1.0)


def test_the_same_checkpoint_registered_again_is_the_same_version(deepmark, pair):
    done = deepmark("register", "--workspace", pair.root, "--json")

    assert done.facts | {"version": 2, "known": "yes", "alias": "challenger"} == done.facts
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}


def test_the_champion_registered_again_stays_the_champion_only(pair):
    promote(pair)

    assert register(pair)["alias"] == "champion"
    assert aliases(pair) == {2: ("champion",), 1: ()}


def test_what_is_missing_for_a_version_is_named_with_the_command_that_makes_it(deepmark, pair):
    for path, maker in (
        (pair.metrics_file("nms"), "deepmark evaluate --strategy nms"),
        (pair.predictions_file("nms"), "deepmark predict --strategy nms"),
        (pair.model_file, "deepmark train"),
    ):
        path.unlink()
        assert refused(deepmark("register", "--workspace", pair.root), "deepmark register", str(path), maker)


def test_figures_of_another_checkpoint_are_not_registered(deepmark, pair):
    pair.model_file.write_bytes(b"another")
    done = deepmark("register", "--workspace", pair.root)

    assert refused(done, str(pair.predictions_file("nms")), "another model", "deepmark predict --strategy nms")


def test_figures_of_other_predictions_are_not_registered(deepmark, pair):
    metrics = json.loads(pair.metrics_file("nms").read_text())
    metrics["ms"]["network"] += 1
    pair.metrics_file("nms").write_text(json.dumps(metrics))
    done = deepmark("register", "--workspace", pair.root)

    assert refused(done, str(pair.metrics_file("nms")), "other predictions", "deepmark evaluate --strategy nms")


def test_a_better_challenger_is_promoted_and_both_are_shown(deepmark, pair):
    done = deepmark("promote", "--workspace", pair.root)

    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    (row,) = [line for line in lines if line[:2] == ["box", "AP"]]
    assert float(row[2]) < float(row[3]) == 1
    assert ["landmark", "AP"] in [line[:2] for line in lines if line[-1:] == ["yes"]]
    assert "version 2 is the champion in place of version 1" in done.out
    assert aliases(pair) == {2: ("champion",), 1: ()}


def test_a_promotion_repeated_says_so_and_changes_nothing(deepmark, pair):
    promote(pair)
    before = tags(pair, 2)
    done = deepmark("promote", "--workspace", pair.root)

    assert (done.code, done.out.strip()) == (
        0,
        "version 2 is the champion, and there is no challenger; nothing was changed",
    )
    assert tags(pair, 2) == before


def test_a_worse_challenger_is_refused_by_the_rules_that_fail_with_both_numbers(deepmark, worse):
    done = deepmark("promote", "--workspace", worse.root)

    assert done.code == 1
    assert "deepmark promote: version 1 is refused, and version 2 stays the champion" in done.err
    assert "landmark AP: champion 1.0000, challenger 0." in done.err
    assert "needed: low > -0.02" in done.err
    assert "--force REASON" in done.err
    assert "size" not in done.err
    assert "NO" in done.out
    assert aliases(worse) == {1: ("challenger",), 2: ("champion",)}
    assert json.loads(tags(worse, 1)[PROMOTION_TAG])["failed"][0].startswith("landmark AP: champion 1.0000")


def test_a_script_reads_every_rule_of_a_refusal(deepmark, worse):
    done = deepmark("promote", "--workspace", worse.root, "--json")
    rules = {rule["name"]: rule for rule in done.facts["rules"]}

    assert done.code == 1
    assert (rules["landmark AP"]["holds"], rules["size, MB"]["holds"]) == (False, True)
    assert rules["landmark AP"]["champion"] > rules["landmark AP"]["challenger"]


def test_force_promotes_a_worse_challenger_and_keeps_the_reason(deepmark, worse):
    done = deepmark("promote", "--workspace", worse.root, "--force", "licence of version 2 ended")

    assert done.code == 0
    assert "forced: licence of version 2 ended" in done.out
    assert aliases(worse) == {1: ("champion",), 2: ()}
    assert json.loads(tags(worse, 1)[PROMOTION_TAG])["forced"] == "licence of version 2 ended"


def test_a_dry_run_gives_the_verdict_and_moves_nothing(deepmark, pair):
    done = deepmark("promote", "--workspace", pair.root, "--dry-run")

    assert "version 2 would become the champion; nothing was changed" in done.out
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}
    assert json.loads(tags(pair, 2)[PROMOTION_TAG])["failed"] == []


def test_without_any_version_one_is_told_to_register(deepmark, trained):
    assert refused(deepmark("promote", "--workspace", trained.root), "nothing is registered", "`deepmark register`")
    assert refused(deepmark("rollback", "--workspace", trained.root), "there is no champion", "`deepmark models`")
    assert "no version is registered yet" in deepmark("models", "--workspace", trained.root).out


def test_rollback_goes_back_as_far_as_there_is_history(deepmark, pair):
    promote(pair)
    register(evaluated(pair, finds_every=1, seed=8))
    promote(pair)

    assert deepmark("rollback", "--workspace", pair.root, "--json").facts == {"champion": 2, "rolled_back": 3}
    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
    assert aliases(pair) == {3: (), 2: (), 1: ("champion",)}
    assert refused(deepmark("rollback", "--workspace", pair.root), "version 1 is the first champion")


def test_a_version_that_was_rolled_back_comes_back_by_force_only(pair):
    promote(pair)
    rollback(pair)
    register(pair)
    with pytest.raises(RefusedError, match="version 2 was champion before, and was rolled back at 20"):
        promote(pair)

    promote(pair, force="the fault was elsewhere")

    assert rollback(pair) == {"champion": 1, "rolled_back": 2}


def test_a_champion_chosen_in_mlflow_itself_is_part_of_the_history(pair):
    Registry(pair.root).set_alias(CHAMPION, 2)

    assert rollback(pair) == {"champion": 1, "rolled_back": 2}


def test_on_the_same_data_nothing_is_predicted_again(pair, monkeypatch):
    cannot_predict(monkeypatch)

    assert promote(pair).champion == 2


def test_on_new_validation_pictures_both_are_measured_again_with_their_own_weights_once(pair, monkeypatch):
    draw_dataset(pair.root / "new", train=0, validation=4, seed=5, workers=1)
    limits = {"tolerance": 0.5, "max_category_drop": 1.0}  # networks without training: neither finds anything
    changed = set_params(pair, data={"raw": "new"}, promote=limits)
    stages.ingest(changed, split="validation")
    stages.shard(changed, split="validation")
    found = promote(changed, dry_run=True).comparison.differences
    assert (found[0].a, found[0].b) == pytest.approx((0, 0), abs=0.2)

    cannot_predict(monkeypatch)
    assert promote(changed, dry_run=True).comparison.differences == found
    kept = [json.loads(tags(pair, number)[EVALUATION_TAG])["figures"]["box_ap"] for number in (1, 2)]
    assert kept == [found[0].a, found[0].b]


def test_a_champion_that_cannot_be_measured_any_more_is_replaced_by_force_only(deepmark, pair):
    changed = set_params(pair, predict={"nms_iou": 0.6})
    champion = with_alias(Registry(pair.root).versions(), CHAMPION)
    for file in (pair.root / "mlartifacts").rglob("model.safetensors"):
        if file_sha256(file) == champion.checkpoint:
            file.unlink()
    done = deepmark("promote", "--workspace", changed.root)

    words = ("version 1, the champion", "cannot be fetched", "Bring its files back", "deepmark promote --force REASON")
    assert refused(done, *words)
    assert promote(changed, force="its files are lost").champion == 2
    assert "cannot be measured again" in json.loads(tags(pair, 2)[PROMOTION_TAG])["failed"][0]


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_a_challenger_whose_weights_are_not_what_was_registered_is_not_promoted_even_by_force(pair, fault):
    challenger = with_alias(Registry(pair.root).versions(), CHALLENGER)
    for file in (pair.root / "mlartifacts").rglob("model.safetensors"):
        if file_sha256(file) == challenger.checkpoint:
            file.write_bytes(b"another") if fault == "changed" else file.unlink()

    with pytest.raises(DeepmarkError, match="weights were changed" if fault == "changed" else "cannot be fetched"):
        promote(pair, force="now")
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}


RACER = """
import sys
from pathlib import Path
from deepmark.registry import promote as release
from deepmark.errors import DeepmarkError
from deepmark.workspace.layout import Workspace

def compared(*_, **__):
    print("compared", flush=True)
    sys.stdin.readline()
    return None, []

release.compare_versions = compared
try:
    print(release.promote(Workspace(Path(sys.argv[1]))).message)
except DeepmarkError as error:
    print(error)
"""


def test_of_two_that_set_a_new_tag_at_once_both_succeed(pair):
    registry = release.Registry(pair.root)
    with ThreadPoolExecutor(8) as pool:
        for tag in map(str, range(12)):
            list(pool.map(lambda value, tag=tag: registry.set_tags(1, {tag: str(value)}), range(8)))

    (version,) = (one for one in registry.versions() if one.number == 1)
    assert all(version.tags[str(tag)].isdigit() for tag in range(12))


def test_of_two_promotions_that_compared_with_the_same_champion_one_wins(pair):
    command = [sys.executable, "-c", RACER, pair.root]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    assert [racer.stdout.readline() for racer in racers] == ["compared\n", "compared\n"]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(racer.communicate(timeout=60)[0] for racer in racers)

    assert said[0].startswith("version 2 is the champion in place of version 1")
    assert said[1].startswith("version 2 is the champion now: it was changed while version 2 was compared.")
    assert aliases(pair) == {2: ("champion",), 1: ()}
    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
    with pytest.raises(DeepmarkError, match="first champion"):
        rollback(pair)


@pytest.mark.parametrize("moved", [CHAMPION, CHALLENGER])
def test_a_promotion_that_was_overtaken_while_it_compared_changes_nothing(pair, monkeypatch, moved):
    register(evaluated(pair, finds_every=1, seed=8))
    compare = release.compare_versions

    def overtaken(*words, **options):
        found = compare(*words, **options)
        Registry(pair.root).set_alias(moved, 2)
        return found

    monkeypatch.setattr(release, "compare_versions", overtaken)
    with pytest.raises(DeepmarkError, match=f"version 2 is the {moved} now.*promote again"):
        promote(pair)
    assert 3 not in [number for number, names in aliases(pair).items() if CHAMPION in names]


@pytest.fixture
def without_gate(monkeypatch):
    """Nothing is compared: what a test is about comes after that."""
    monkeypatch.setattr(release, "compare_versions", lambda *_, **__: (None, []))


class CutError(BaseException):
    """Stands for a kill: nothing catches it."""


def cut_at(monkeypatch, count):
    """Every write to the registry counts; the one of this number does not happen, nor does anything after it."""
    left = [count]

    def counted(name):
        write = getattr(Registry, name)

        def wrapped(*words, **options):
            left[0] -= 1
            if left[0] < 0:
                raise CutError
            return write(*words, **options)

        return wrapped

    for name in ("create_version", "set_tags", "set_alias", "delete_alias", "log_artifact"):
        monkeypatch.setattr(Registry, name, counted(name))


@pytest.mark.parametrize("count", range(4))
def test_a_promotion_cut_off_anywhere_is_finished_by_the_next(pair, without_gate, count):
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, count)
        with pytest.raises(CutError):
            promote(pair)

    promote(pair)

    assert aliases(pair) == {2: ("champion",), 1: ()}
    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
    with pytest.raises(DeepmarkError, match="first champion"):
        rollback(pair)


@pytest.mark.parametrize("count", range(2))
def test_a_rollback_cut_off_anywhere_is_finished_by_the_next(pair, without_gate, count):
    promote(pair)
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, count)
        with pytest.raises(CutError):
            rollback(pair)

    rollback(pair)

    assert aliases(pair) == {2: (), 1: ("champion",)}


@pytest.mark.parametrize("count", range(3))
def test_a_registration_cut_off_anywhere_is_finished_by_the_next(pair, count):
    evaluated(pair, finds_every=3, seed=9)
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, count)
        with pytest.raises(CutError):
            register(pair)

    assert register(pair)["version"] == 3
    assert aliases(pair) == {3: ("challenger",), 2: (), 1: ("champion",)}


def test_models_lists_versions_for_people_and_for_scripts(deepmark, pair):
    people = deepmark("models", "--workspace", pair.root)
    script = deepmark("models", "--workspace", pair.root, "--json").facts

    assert next(line.split()[:2] for line in people.out.splitlines() if "champion" in line) == ["1", "champion"]
    assert [one["version"] for one in script] == [2, 1]
    assert script[0]["landmark_ap"] > script[1]["landmark_ap"]
    assert script[1]["megabytes"] > 0
    assert len(script[1]["reigns"]) == 1


def test_a_registry_that_cannot_be_reached_is_named(deepmark, trained, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    for command in ("promote", "rollback", "models"):
        done = deepmark(command, "--workspace", trained.root)
        assert refused(done, "MLflow at http://127.0.0.1:9 cannot be used", "MLFLOW_TRACKING_URI")


def test_versions_of_another_hand_are_listed_without_what_is_not_known_of_them(deepmark, pair):
    registry = Registry(pair.root)
    version = registry.versions()[0]
    source = registry._client.get_model_version("deepmark", str(version.number)).source
    number = registry.create_version(source, version.run_id, {})
    listed = deepmark("models", "--workspace", pair.root)

    assert listed.code == 0, listed.err
    assert f"{number} " in listed.out
