"""What stands in the tags of a version can be read by every release: names and fields do not change."""

from datetime import UTC, datetime

import pytest

from deepmark.errors import DeepmarkError
from deepmark.registry.cached_evaluation import Evaluation, stored_evaluation
from deepmark.registry.history import ChampionTenure, active_history, tenures
from deepmark.registry.versions import Version

EVALUATION = (
    '{"measured": "ab", "data_version": null, "strategy": "nms", "path": "registered/cd/nms.parquet", "sha256": "cd", '
    '"figures": {"box_ap": 0.5, "landmark_visible_ap": 0.25, "landmark_ap": null}, "milliseconds": 7.5}'
)


def version(number: int, **tags: str) -> Version:
    return Version(number=number, aliases=(), created=datetime(2026, 1, 2, tzinfo=UTC), run_id=None, tags=tags)


def test_a_damaged_tag_is_named_with_its_version():
    with pytest.raises(DeepmarkError, match=r"version 7: its tag 'evaluation' is damaged .*`deepmark register`"):
        stored_evaluation(version(7, evaluation=EVALUATION[:-9]))


def test_the_tenures_of_a_champion_are_read_in_their_order():
    tags = {
        "champion.0002": '{"number": 2, "since": "2026-02-02", "rolled_back": "2026-02-03"}',
        "champion.0001": '{"number": 1, "since": "2026-01-02", "rolled_back": null}',
        "champion.reason": "not of DeepMark",
    }

    assert tenures(version(1, **tags)) == [
        ChampionTenure(number=1, since="2026-01-02"),
        ChampionTenure(number=2, since="2026-02-02", rolled_back="2026-02-03"),
    ]


def test_history_is_ordered_over_all_versions_and_leaves_out_what_was_rolled_back():
    one = version(
        1,
        **{
            "champion.0001": '{"number": 1, "since": "2026-01-02", "rolled_back": null}',
            "champion.0004": '{"number": 4, "since": "2026-01-05", "rolled_back": null}',
        },
    )
    two = version(2, **{"champion.0002": '{"number": 2, "since": "2026-01-03", "rolled_back": "2026-01-04"}'})
    three = version(3, **{"champion.0003": '{"number": 3, "since": "2026-01-04", "rolled_back": null}'})

    assert [(each.number, tenure.number) for each, tenure in active_history([three, two, one])] == [
        (1, 1),
        (3, 3),
        (1, 4),
    ]


def test_an_evaluation_is_read_from_its_tag_and_is_none_without_one():
    assert stored_evaluation(version(1)) is None
    assert stored_evaluation(version(1, evaluation=EVALUATION)) == Evaluation(
        measured="ab",
        data_version=None,
        strategy="nms",
        path="registered/cd/nms.parquet",
        sha256="cd",
        figures={"box_ap": 0.5, "landmark_visible_ap": 0.25, "landmark_ap": None},
        milliseconds=7.5,
    )
