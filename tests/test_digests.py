"""Files that carry their own digest: one flipped bit is told, and files without a digest are read as ever."""

import json

import pytest

from deepmark.digests import (
    NO_DIGEST,
    check_digest,
    check_files,
    new_file_with_digest,
    read_json_with_digest,
    read_listed_csv,
    write_json_with_digest,
)
from deepmark.errors import DeepmarkError

VALUES = {"AP": 0.5, "words": "lämpö", "parts": {"a": [1, 2], "b": None}}


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_json_comes_back_without_its_digest(tmp_path):
    write_json_with_digest(tmp_path / "a.json", VALUES)

    assert read_json_with_digest(tmp_path / "a.json", "make it") == VALUES
    assert NO_DIGEST not in (tmp_path / "a.json").read_text("utf-8")


def test_the_same_values_are_the_same_bytes(tmp_path):
    for name in "ab":
        write_json_with_digest(tmp_path / name, VALUES)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_whichever_bit_of_a_json_file_flips_it_is_told_or_changes_nothing(tmp_path):
    file = tmp_path / "a.json"
    write_json_with_digest(file, VALUES)
    whole = file.read_bytes()
    told = 0
    for bit in range(8 * len(whole)):
        file.write_bytes(flipped(whole, bit))
        try:
            assert read_json_with_digest(file, "deepmark train") == VALUES
        except DeepmarkError as error:
            told += f"{file}: damaged" in str(error) and "Run `deepmark train` again." in str(error)

    assert told >= 8 * (len(whole) - len("deepmark-sha256:"))


def test_a_json_file_without_a_digest_is_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(VALUES))

    assert read_json_with_digest(tmp_path / "a.json", "make it") == VALUES


@pytest.mark.parametrize("text", [b"", b'{"AP": ', b"[1]", b'{"AP": "\xff"}'])
def test_what_is_no_json_object_is_told_with_the_command_that_makes_it(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)

    with pytest.raises(DeepmarkError, match=r"a\.json: damaged, or not .*Run `make it` again\."):
        read_json_with_digest(tmp_path / "a.json", "make it")


def test_a_missing_json_file_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(DeepmarkError, match=r"a\.json: not there yet. Make it with `make it`"):
        read_json_with_digest(tmp_path / "a.json", "make it")


@pytest.mark.parametrize(("before", "after"), [(100, 200_000), (200_000, 100)])
def test_a_digest_near_either_end_covers_all_of_a_large_file(tmp_path, before, after):
    file = tmp_path / "a"
    with new_file_with_digest(file) as draft:
        draft.write_bytes(bytes(before) + NO_DIGEST.encode() + bytes(after))
    whole = file.read_bytes()
    check_digest(file, "Copy it again.")

    for byte in (0, before + len("deepmark-sha256:"), 100_000, len(whole) - 1):
        file.write_bytes(flipped(whole, 8 * byte))
        with pytest.raises(DeepmarkError, match=r"a: damaged.*Copy it again\."):
            check_digest(file, "Copy it again.")


def test_a_file_is_not_written_whose_digest_no_reader_would_find(tmp_path):
    with pytest.raises(ValueError, match="no digest"), new_file_with_digest(tmp_path / "a") as draft:
        draft.write_bytes(bytes(5_000_000) + NO_DIGEST.encode() + bytes(5_000_000))

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_lists_others_tells_which_of_them_is_not_the_same(tmp_path):
    (tmp_path / "tables").mkdir()
    table, other = tmp_path / "tables/ap.csv", tmp_path / "tables/other.csv"
    for file in (table, other):
        file.write_text("a,b\n1,2\n")
    write_json_with_digest(tmp_path / "metrics/nms.json", VALUES, files=[table])
    check_files(tmp_path / "metrics/nms.json", [table, other], "make it")
    for file in (table, other):
        file.write_text("a,b\n1,3\n")

    check_files(tmp_path / "metrics/nms.json", [other], "make it")
    with pytest.raises(DeepmarkError, match=r"ap\.csv: damaged, or not the one that .*nms\.json.*Run `make it` again"):
        check_files(tmp_path / "metrics/nms.json", [table], "make it")


def test_the_sums_are_in_the_format_of_sha256sum(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/ap.csv").write_text("")
    write_json_with_digest(tmp_path / "metrics/nms.json", {}, files=[tmp_path / "tables/ap.csv"])

    assert json.loads((tmp_path / "metrics/nms.json").read_text())["sha256"] == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  tables/ap.csv"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch,trian\n1,5\n", "no column 'train'"),
        ("epoch,train\n1,5.x\n", "5.x"),
        ("", "No columns"),
        ("\xff", "utf-8"),
    ],
)
def test_a_csv_that_cannot_be_read_is_told_with_the_command_that_makes_it(tmp_path, text, words):
    metrics, losses = tmp_path / "metrics/train.json", tmp_path / "plots/losses.csv"
    losses.parent.mkdir()
    losses.write_bytes(text.encode("latin1"))
    write_json_with_digest(metrics, {"epochs": 1})  # lists no files, as an earlier release wrote it

    with pytest.raises(DeepmarkError, match=rf"losses\.csv: damaged \(.*{words}.*`deepmark train` again"):
        read_listed_csv(losses, listed_in=metrics, columns={"train": "float64"}, maker="deepmark train")
