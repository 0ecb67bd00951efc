"""Requests that wait together run as one batch, and each gets what it would get alone."""

import asyncio
import threading

import numpy as np
import pytest
from small_onnx import small_onnx

from deepmark.images import open_image
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.server.batcher import Batcher
from deepmark.types import Detections


def nothing(name: str) -> Detections:
    """No garments, found in an image of this name."""
    columns = {"boxes": (4,), "scores": (), "landmarks": (39, 2), "landmark_scores": (39,)}
    empty = {column: np.zeros((0, *shape), np.float32) for column, shape in columns.items()}
    return Detections(**empty, categories=np.zeros(0, np.int64), source=name)


def names(results) -> list:
    return [result.source if isinstance(result, Detections) else result for result in results]


class Recorder:
    """A detector whose images are their names; it notes its batches, and waits in the first until it is let go."""

    def __init__(self, same_in_batches: bool = True) -> None:
        self.same_in_batches, self.batches, self.go = same_in_batches, [], threading.Event()

    def detect(self, images):
        self.batches.append(list(images))
        assert self.go.wait(30)
        return [nothing(image) for image in images]


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def run(detectors, images, **options) -> list:
    """The results for pairs of detector and image: the first is in the network while the others arrive."""

    async def main():
        async with Batcher(max_batch=3, max_delay=0.0, **options) as batcher:
            tasks = [asyncio.create_task(batcher.detect(detectors[0], images[0]))]
            await until(lambda: detectors[0].batches)
            pairs = zip(detectors[1:], images[1:], strict=True)
            tasks += [asyncio.create_task(batcher.detect(detector, image)) for detector, image in pairs]
            await asyncio.sleep(0)
            for detector in detectors:
                detector.go.set()
            return await asyncio.gather(*tasks)

    return names(asyncio.run(main()))


def test_what_waits_runs_together_up_to_the_largest_batch():
    detector, counted = Recorder(), []

    results = run([detector] * 6, list("abcdef"), on_batch=lambda images, seconds: counted.append(images))

    assert results == list("abcdef")
    assert detector.batches == [["a"], ["b", "c", "d"], ["e", "f"]]
    assert counted == [1, 3, 2]


def test_images_of_different_detectors_do_not_share_a_batch():
    old, new = Recorder(), Recorder()

    results = run([old, new, old, new], list("abcd"))

    assert results == list("abcd")
    assert (old.batches, new.batches) == ([["a"], ["c"]], [["b", "d"]])


def test_a_detector_whose_digits_depend_on_the_batch_sees_one_image_at_a_time():
    detector = Recorder(same_in_batches=False)

    assert run([detector] * 3, list("abc")) == list("abc")
    assert detector.batches == [["a"], ["b"], ["c"]]


def test_the_first_image_waits_for_others_no_longer_than_the_batch_needs():
    detector = Recorder()
    detector.go.set()

    async def main():
        async with Batcher(max_batch=2, max_delay=3600) as batcher, asyncio.timeout(30):
            return await asyncio.gather(batcher.detect(detector, "a"), batcher.detect(detector, "b"))

    assert names(asyncio.run(main())) == ["a", "b"]
    assert detector.batches == [["a", "b"]]


def test_whoever_has_gone_away_is_left_out():
    detector = Recorder()

    async def main():
        async with Batcher(max_batch=3, max_delay=0.0) as batcher:
            first = asyncio.create_task(batcher.detect(detector, "a"))
            await until(lambda: detector.batches)
            gone = asyncio.create_task(batcher.detect(detector, "b"))
            last = asyncio.create_task(batcher.detect(detector, "c"))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
            detector.go.set()
            return await asyncio.gather(first, last)

    assert names(asyncio.run(main())) == ["a", "c"]
    assert detector.batches == [["a"], ["c"]]


@pytest.fixture(params=["a checkpoint", "an exported file"])
def either(request, detector, tmp_path):
    if request.param == "a checkpoint":
        return detector
    return OnnxDetector(small_onnx(tmp_path / "model.onnx"), min_score=0.0)


def test_waiting_together_changes_no_digit(either):
    images = np.random.default_rng(1).integers(0, 256, (4, 70, 50, 3), np.uint8)
    prepared = [either.prepare(open_image(image)) for image in images]

    async def main():
        async with Batcher(max_batch=4, max_delay=3600) as batcher:
            return await asyncio.gather(*(batcher.detect(either, image) for image in prepared))

    for together, image in zip(asyncio.run(main()), prepared, strict=True):
        (alone,) = either.detect([image])
        assert len(alone) > 0
        for name in ("boxes", "scores", "categories", "landmarks", "landmark_scores"):
            assert np.array_equal(getattr(together, name), getattr(alone, name))


@pytest.mark.parametrize("error", [ValueError("wrong"), MemoryError()])
def test_an_error_reaches_all_of_its_batch_and_nobody_else(error):
    class Failing(Recorder):
        def detect(self, images):
            results = super().detect(images)
            if "bad" in images:
                raise error
            return results

    detector = Failing()

    async def main():
        async with Batcher(max_batch=2, max_delay=0.0) as batcher:
            tasks = [asyncio.create_task(batcher.detect(detector, "a"))]
            await until(lambda: detector.batches)
            tasks += [asyncio.create_task(batcher.detect(detector, image)) for image in ("b", "bad", "c")]
            await asyncio.sleep(0)
            detector.go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    assert names(asyncio.run(main())) == ["a", error, error, "c"]
