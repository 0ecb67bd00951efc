"""`deepmark promote`: the challenger becomes the champion, is refused, or is forced."""

import json

from registered import aliases, tags
from vocabularies import SMALL
from workspaces import refused

from deepmark.registry.cached_evaluation import EvaluatedVersion
from deepmark.registry.promote import PROMOTION_TAG, promote
from deepmark.registry.versions import Registry
from deepmark.vocabulary import DEEPFASHION2


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


def test_an_asset_reads_the_same_facts_and_every_version_from_a_file(deepmark, worse, tmp_path):
    for _ in range(2):
        done = deepmark("promote", "--workspace", worse.root, "--json", "--out", tmp_path / "facts.json")
    written = json.loads((tmp_path / "facts.json").read_text("utf-8"))

    assert written.pop("versions") == deepmark("models", "--workspace", worse.root, "--json").facts
    assert written == done.facts


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


def test_a_champion_of_another_vocabulary_is_not_compared_with_and_both_are_named(deepmark, pair, monkeypatch):
    first = EvaluatedVersion(Registry(pair.root), pair, Registry(pair.root).versions()[-1], pair.root / "runs")
    assert first.vocabulary is DEEPFASHION2
    of = property(lambda version: SMALL if version.version.number == 1 else DEEPFASHION2)
    monkeypatch.setattr(EvaluatedVersion, "vocabulary", of)

    words = [
        "version 2 has the vocabulary DeepFashion2, but version 1, the champion, has accessories",
        'category 1 is "short sleeve top" in one and "bag" in the other',
        "Promote without a comparison: `deepmark promote --force REASON`.",
    ]
    assert refused(deepmark("promote", "--workspace", pair.root), *words)
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}
    assert deepmark("promote", "--workspace", pair.root, "--force", "we sell clothes now").code == 0
    assert aliases(pair) == {2: ("champion",), 1: ()}
