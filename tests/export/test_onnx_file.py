"""Files of small detectors with random weights, on random canvases; every network is in test_networks.py."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exported import EXPORTED_SIZE, canvases
from small_detector import small_detector
from vocabularies import MANY, SMALL

from deepmark.digests import check_digest
from deepmark.errors import DeepmarkError
from deepmark.export.equality import equality
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor
from deepmark.runtime.contract import Contract
from deepmark.runtime.onnx_detector import OnnxDetector, PlacedImage

pytestmark = pytest.mark.slow  # the export takes ten seconds


def test_the_file_finds_what_torch_finds_in_batches_of_any_size(exported):
    found = equality(small_detector(EXPORTED_SIZE), exported, map(canvases, (1, 2, 3)), PROFILE_PREDICT_PARAMS)

    assert found.images == 6
    assert found.garments > 300
    assert found.landmarks > 6000
    assert found.holds(), found


def test_the_same_image_gives_the_same_numbers_alone_and_in_a_batch(exported):
    detector = OnnxDetector(exported, strategy="none", min_score=0.0)
    three = [PlacedImage.of_canvas(canvas) for canvas in canvases(3)]

    for alone, together in zip([detector.detect([one])[0] for one in three], detector.detect(three), strict=True):
        np.testing.assert_allclose(alone.boxes, together.boxes, atol=1e-3)
        np.testing.assert_allclose(alone.landmarks, together.landmarks, atol=1e-3)


def test_the_contract_in_the_file_fits_its_graph(exported):
    session = onnxruntime.InferenceSession(exported)
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, "model.onnx")

    contract.check_fits(session.get_inputs(), session.get_outputs(), "model.onnx")
    assert contract.input_size == EXPORTED_SIZE
    assert contract.versions["torch"] == torch.__version__


def test_a_file_blends_landmarks_and_rescores_as_torch_does(tmp_path):
    detector, file = small_detector(EXPORTED_SIZE), tmp_path / "model.onnx"
    predict = PROFILE_PREDICT_PARAMS.model_copy(update={"landmark_blend": 0.3, "rescore": True})
    export_onnx(detector, file, predict)
    canvas = canvases(1)[0]
    (by_torch,) = Predictor(detector, "nms", predict)([canvas])
    (by_file,) = OnnxDetector(file, min_score=0.0).detect([PlacedImage.of_canvas(canvas)])

    assert equality(detector, file, map(canvases, (2,)), predict).holds()
    assert not equality(detector, file, map(canvases, (2,)), PROFILE_PREDICT_PARAMS).holds()
    assert len(by_file) > 30
    np.testing.assert_allclose(by_file.pose_scores, by_torch.pose_scores, atol=1e-4)
    assert OnnxDetector(file).contract.predict.landmark_blend == 0.3


def test_the_file_names_no_file_of_this_machine(exported):
    assert b".py" not in exported.read_bytes()
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(exported).graph.node)


def test_a_changed_byte_is_told(exported, tmp_path):
    damaged, content = tmp_path / "model.onnx", bytearray(exported.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    check_digest(exported, "Copy it again.")
    with pytest.raises(DeepmarkError, match=r"damaged: its bytes are not those that were written. Copy it again."):
        check_digest(damaged, "Copy it again.")


@pytest.mark.parametrize(("vocabulary", "flip"), [(SMALL, False), (MANY, False), (MANY, True)], ids=str)
def test_a_file_of_other_garments_finds_what_torch_finds_and_names_them(vocabulary, flip, tmp_path):
    detector = small_detector(EXPORTED_SIZE, "grouped" if flip else "separate", vocabulary)
    file = tmp_path / ("model_flip.onnx" if flip else "model.onnx")
    export_onnx(detector, file, PROFILE_PREDICT_PARAMS, flip=flip)
    found = equality(detector, tmp_path / "model.onnx", map(canvases, (1, 2)), PROFILE_PREDICT_PARAMS, flip=flip)
    exported = OnnxDetector(tmp_path / "model.onnx", strategy="flip" if flip else "nms", min_score=0.0)

    assert found.holds(), found
    assert found.garments > 30
    assert exported.vocabulary == vocabulary
    for garment in exported.detect([PlacedImage.of_canvas(canvases(1)[0])])[0].as_dicts():
        assert tuple(garment["landmarks"]) == vocabulary.by_name[garment["category"]].parts
