import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from contracts import contract_of
from vocabularies import MANY, SMALL

from deepmark.errors import DeepmarkError
from deepmark.runtime.contract import METADATA_KEY, Contract
from deepmark.vocabulary import DEEPFASHION2

CONTRACT = contract_of((64, 96))


def changed(**values) -> str:
    return json.dumps({**json.loads(CONTRACT.to_json()), **values})


def test_a_contract_is_the_same_after_json():
    assert Contract.from_json(CONTRACT.to_json(), "model.json") == CONTRACT
    assert Contract.from_metadata({METADATA_KEY: CONTRACT.to_json()}, "model.onnx") == CONTRACT


def test_a_contract_is_of_the_second_version_only_where_it_has_something_of_it():
    rescored = replace(CONTRACT, predict=replace(CONTRACT.predict, rescore=True))
    blended = replace(CONTRACT, predict=replace(CONTRACT.predict, landmark_blend=0.25))
    first, second = json.loads(CONTRACT.to_json()), json.loads(rescored.to_json())

    assert first["format"] == "deepmark onnx 1"
    assert "rescore" not in first["predict"]
    assert second["format"] == "deepmark onnx 2"
    assert second["predict"] == first["predict"] | {"rescore": True}
    assert Contract.from_json(rescored.to_json(), "m") == rescored
    assert json.loads(blended.to_json())["predict"] == first["predict"] | {"landmark_blend": 0.25}
    assert Contract.from_json(blended.to_json(), "m") == blended


@pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)
def test_a_contract_of_another_vocabulary_holds_all_of_it_in_the_third_version(vocabulary):
    contract = contract_of((64, 96), vocabulary=vocabulary)
    values = json.loads(contract.to_json())
    back = Contract.from_json(contract.to_json(), "model.json")

    assert values["format"] == "deepmark onnx 3"
    assert [one["name"] for one in values["categories"]] == [one.name for one in vocabulary.categories]
    assert back == contract
    assert back.vocabulary.name == vocabulary.name
    assert [one.drawing for one in back.vocabulary.categories] == [one.drawing for one in vocabulary.categories]
    assert {one.name: one.shape for one in back.outputs}["landmarks"] == ("batch", 100, vocabulary.most_landmarks, 2)


def test_a_contract_whose_vocabulary_is_damaged_or_of_other_categories_says_so():
    values = json.loads(contract_of((64, 96), vocabulary=SMALL).to_json())
    damaged = values | {"vocabulary": values["vocabulary"] | {"categories": []}}
    other = values | {"categories": values["categories"][::-1]}

    with pytest.raises(DeepmarkError, match=r"model\.json: .*categories"):
        Contract.from_json(json.dumps(damaged), "model.json")
    with pytest.raises(DeepmarkError, match=r"it has 3 categories, and the vocabulary accessories 3 .*'hat' differs"):
        Contract.from_json(json.dumps(other), "model.json")


def test_a_contract_of_deepfashion2_does_not_hold_its_vocabulary():
    assert "vocabulary" not in json.loads(CONTRACT.to_json())
    assert Contract.from_json(CONTRACT.to_json(), "model.json").vocabulary is DEEPFASHION2


def test_a_contract_is_read_from_a_file(tmp_path):
    file = tmp_path / "model.json"
    file.write_text(CONTRACT.to_json(), "utf-8")

    assert Contract.read(file) == CONTRACT


PREDICT = json.loads(CONTRACT.to_json())["predict"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "m: its contract is damaged, or not JSON (.*). Copy it again, or run `deepmark export` again."),
        ("[]", "m: no contract of an exported DeepMark model. Give a file that `deepmark export` wrote."),
        ('{"format": "other"}', "m: no contract of an exported DeepMark model."),
        (
            changed(format="deepmark onnx 4"),
            "contract is of version 4, and this DeepMark knows up to 3. Update DeepMark",
        ),
        (changed(precision=8), "damaged .contract.precision: 8 is of the wrong type."),
        (changed(input_size=[64]), "damaged .contract.input_size: 1 values instead of 2."),
        (
            changed(predict=PREDICT | {"rescore": 1}),
            "damaged .contract.predict.rescore: 1 is of the wrong type.",
        ),
        (changed(colour=1), "damaged .contract: 'colour' is unknown."),
        (json.dumps({"format": "deepmark onnx 1"}), "damaged .contract: 'categories' is missing."),
        (
            changed(categories=[]),
            r"does not fit: it has 0 categories, and the vocabulary DeepFashion2 13 .* that exported it .1.2.3.",
        ),
        (
            changed(categories=[{"name": "hat", "landmarks": []}, *json.loads(CONTRACT.to_json())["categories"][1:]]),
            "does not fit: .*'hat' differs",
        ),
    ],
)
def test_a_contract_that_cannot_be_used_says_why(text, said):
    with pytest.raises(DeepmarkError, match=said):
        Contract.from_json(text, "m")


def test_a_foreign_onnx_file_is_told():
    with pytest.raises(
        DeepmarkError, match=r"an ONNX file, but not one of DeepMark's: it has no contract. Give a file"
    ):
        Contract.from_metadata({"author": "somebody"}, "model.onnx")


def test_a_contract_that_is_missing_or_binary_is_told(tmp_path):
    with pytest.raises(DeepmarkError, match=r"no such file. `deepmark export` makes it"):
        Contract.read(tmp_path / "model.json")
    (tmp_path / "model.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DeepmarkError, match="it is not UTF-8 text"):
        Contract.read(tmp_path / "model.json")


def test_a_graph_with_other_tensors_does_not_fit():
    def tensors(contract: Contract):
        names = {"float32": "float"}
        return [
            [
                SimpleNamespace(name=t.name, type=f"tensor({names.get(t.dtype, t.dtype)})", shape=list(t.shape))
                for t in part
            ]
            for part in (contract.inputs, contract.outputs)
        ]

    CONTRACT.check_fits(*tensors(CONTRACT), "m")
    other = replace(CONTRACT, inputs=(replace(CONTRACT.inputs[0], shape=("batch", 64, 64, 3)),))
    with pytest.raises(
        DeepmarkError, match=r"m: its contract does not fit: it says inputs images tensor\(uint8\) \[\* 64 96 3\]"
    ):
        CONTRACT.check_fits(*tensors(other), "m")
