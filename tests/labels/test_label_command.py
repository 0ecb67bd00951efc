"""`deepmark label` on the command line: out to a tool, back, and taken out again."""

import json

from label_tasks import IMAGE, answered, moved


def test_labels_go_out_come_back_and_are_taken_out_again(asked, deepmark, tmp_path):
    here = ("--workspace", asked.root)
    out = deepmark("label", "export", "--from", "audit", "--to", "cvat", "--out", tmp_path / "tasks", *here, "--json")
    assert (out.code, out.facts["pictures"]) == (0, 2)
    assert len(json.loads((tmp_path / "tasks/annotations.json").read_text("utf-8"))["images"]) == 2

    back = deepmark("label", "import", answered(asked, moved), *here)
    assert back.code == 0
    assert "replace" in back.out
    assert "`dvc repro` makes everything of the corrected labels" in back.out
    gone = deepmark("label", "drop", IMAGE, *here, "--json")
    assert (gone.code, gone.facts["taken_out"] > 1) == (0, True)


def test_a_mistake_is_one_message(asked, deepmark, tmp_path):
    here = ("--workspace", asked.root)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    cases = [
        (("export", "--out", tmp_path / "full"), "full: there is something already. Give a new folder"),
        (("export", "--from", "uncertain", "--out", asked.root / "params.yaml"), "params.yaml"),
        (("import", tmp_path / "nothing.json"), "nothing.json: No such file or directory"),
        (("drop", "4711"), "says nothing of image 4711"),
    ]
    for words, message in cases:
        done = deepmark("label", *words, *here)

        assert (done.code, done.out) == (1, ""), words
        assert message in done.err
        assert "Traceback" not in done.err
    assert list((tmp_path / "full").iterdir()) == [tmp_path / "full/file"]
