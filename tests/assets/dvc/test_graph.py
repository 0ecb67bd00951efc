from pathlib import Path

import pytest
from workspaces import REPOSITORY

from assets.dvc.graph import read_data_version, read_graph
from deepmark.errors import DeepmarkError

OURS = (REPOSITORY / "dvc.yaml").read_text("utf-8")

CHAIN = """
stages:
  cook:
    foreach: [soup, cake]
    do:
      cmd: cook ${item}
      deps: ["raw/${item}"]
      outs: ["made/${item}"]
  serve:
    cmd: serve
    deps: [made/cake]
    outs: [table]
"""


def graph_of(folder: Path, text: str):
    (folder / "dvc.yaml").write_text(text, "utf-8")
    (folder / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text("utf-8"), "utf-8")
    return read_graph(folder)


def test_a_stage_with_items_is_one_family_in_the_order_of_the_file(tmp_path):
    graph = graph_of(tmp_path, CHAIN)

    assert [(family.name, family.items) for family in graph.families] == [("cook", ("soup", "cake")), ("serve", None)]


@pytest.mark.slow
def test_edges_follow_from_the_paths_that_stages_make_and_use(tmp_path):
    cook, serve = graph_of(tmp_path, CHAIN).families
    (edge,) = graph_of(tmp_path, CHAIN).edges(serve)

    assert edge.upstream == cook
    assert edge.uses == {None: frozenset({"cake"})}


@pytest.mark.parametrize("used", ["made/cake/slice", "made"])
def test_a_file_in_a_made_folder_and_a_folder_of_made_files_are_edges_too(tmp_path, used):
    graph = graph_of(tmp_path, CHAIN.replace("deps: [made/cake]", f"deps: [{used}]"))

    assert [edge.upstream.name for edge in graph.edges(graph.families[1])] == ["cook"]


def test_stages_come_in_an_order_in_which_they_can_run_wherever_they_stand_in_the_file(tmp_path):
    cook, serve = CHAIN.index("  cook:"), CHAIN.index("  serve:")
    backwards = CHAIN[:cook] + CHAIN[serve:] + CHAIN[cook:serve]

    assert [family.name for family in graph_of(tmp_path, backwards).families] == ["cook", "serve"]


def test_our_jobs_come_in_an_order_in_which_they_can_run():
    assert list(read_graph(REPOSITORY).jobs) == ["prepare", "train", "evaluate", "audit", "export", "publish_report"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages:\n  a: [", ["line 2", "Expected"]),
        (OURS.replace('"${item}"', '"${itm}"'), ["Could not find 'itm'"]),
        (OURS.replace("cmd: deepmark train", "cmmd: deepmark train"), ["extra keys not allowed", "cmmd", "line "]),
        ("", ["has no stages", "deepmark init"]),
        ("stages: 3", ["expected a dictionary"]),
        ("\x00", ["dvc.yaml"]),
        (OURS.replace("pool:", "pol:"), ["train: meta: dagster", "'pol' is not a hint", "Did you mean 'pool'?"]),
        (OURS.replace("asset: records", "asset: my records"), ["ingest: meta: dagster: asset", "my records"]),
        (OURS.replace("- data/raw/${item}", "- report"), ["wait for each other", "report -> ingest"]),
    ],
)
def test_a_broken_dvc_yaml_is_explained(tmp_path, text, words):
    with pytest.raises(DeepmarkError) as error:
        graph_of(tmp_path, text)

    assert str(tmp_path / "dvc.yaml") in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_dvc_yaml_is_explained(tmp_path):
    with pytest.raises(DeepmarkError, match=r"dvc.yaml: no such file.*deepmark init"):
        read_graph(tmp_path)


def test_stages_of_one_job_must_have_the_same_items(tmp_path):
    graph = graph_of(tmp_path, OURS.replace("job: train", "job: prepare"))

    with pytest.raises(DeepmarkError, match="share the job 'prepare' but not their items"):
        graph.jobs  # noqa: B018


def test_jobs_that_wait_for_each_other_are_explained(tmp_path):
    graph = graph_of(tmp_path, OURS.replace("job: train", "job: publish_report"))

    with pytest.raises(DeepmarkError, match="the jobs wait for each other"):
        graph.jobs  # noqa: B018


def test_the_data_version_is_one_for_all_that_a_stage_made_and_none_before(tmp_path):
    cook, serve = graph_of(tmp_path, CHAIN).families
    assert read_data_version(tmp_path, serve.stages[0]) is None

    lock = """
stages:
  serve:
    outs: [{path: table, md5: aa}]
  cook@soup:
    outs: [{path: a, md5: aa}, {path: b, md5: %s}]
"""
    (tmp_path / "dvc.lock").write_text(lock % "bb")
    first = read_data_version(tmp_path, cook.stage("soup"))
    (tmp_path / "dvc.lock").write_text(lock % "cc")

    assert read_data_version(tmp_path, serve.stages[0]) == "aa"
    assert first is not None
    assert read_data_version(tmp_path, cook.stage("soup")) not in (first, None)
    assert read_data_version(tmp_path, cook.stage("cake")) is None
