import numpy as np
import pytest
import torch
from head_maps import noise_maps
from layouts import LAYOUTS
from small_detector import small_detector

from deepmark import geometry
from deepmark.infer.tta import average, flipped_and_averaged, letterbox_at_scale
from deepmark.model.heads import HeadMaps
from deepmark.params import ModelParams


def test_heatmaps_are_averaged_as_probabilities() -> None:
    a, b = noise_maps(1), noise_maps(2)

    mean = average(a, b)

    for name in ("center_heatmap", "landmark_heatmap"):
        wanted = (getattr(a, name).sigmoid() + getattr(b, name).sigmoid()) / 2
        torch.testing.assert_close(getattr(mean, name).sigmoid(), wanted)


def test_sizes_and_vectors_are_averaged_and_offsets_are_those_of_the_unmirrored_picture() -> None:
    a, b = noise_maps(1), noise_maps(2)

    mean = average(a, b)

    torch.testing.assert_close(mean.size, (a.size + b.size) / 2)
    torch.testing.assert_close(mean.landmark_vectors, (a.landmark_vectors + b.landmark_vectors) / 2)
    assert torch.equal(mean.center_offset, a.center_offset)
    assert torch.equal(mean.landmark_offset, a.landmark_offset)


@pytest.mark.parametrize("landmark_maps", LAYOUTS)
def test_a_mirrored_picture_gives_mirrored_maps_offsets_apart(landmark_maps) -> None:
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    detector = small_detector(landmark_maps=landmark_maps)

    with torch.inference_mode():
        straight = flipped_and_averaged(detector, images)
        mirrored = flipped_and_averaged(detector, images.flip(-1)).mirror(detector.layout)

    for name in ("center_heatmap", "size", "landmark_vectors", "landmark_heatmap"):
        torch.testing.assert_close(getattr(mirrored, name), getattr(straight, name))


def test_mirroring_changes_what_the_network_says() -> None:
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    detector = small_detector()

    with torch.inference_mode():
        once: HeadMaps = detector(images)
        averaged = flipped_and_averaged(detector, images)

    assert not torch.allclose(once.landmark_heatmap, averaged.landmark_heatmap, atol=1e-2)


@pytest.mark.parametrize("size", [(700, 520), (100, 900), (512, 512)])
@pytest.mark.parametrize(("scale", "canvas"), [(1.0, (512, 384)), (0.75, (384, 288)), (0.6, (320, 256))])
def test_a_look_shrinks_by_the_scale_exactly_and_stays_in_the_middle(
    size: tuple[int, int], scale: float, canvas: tuple[int, int]
) -> None:
    input_size = (512, 384)

    letterbox = letterbox_at_scale(size, input_size, scale, size_divisor=32)

    assert letterbox.canvas == canvas
    whole = geometry.letterbox(size, input_size)
    np.testing.assert_allclose(letterbox.affine[:, :2], scale * whole[:, :2])
    middle = geometry.apply(letterbox.affine, np.array([[size[1] / 2, size[0] / 2]]))
    np.testing.assert_allclose(middle, [[canvas[1] / 2, canvas[0] / 2]])


@pytest.mark.parametrize(("scale", "canvas"), [(1.0, (512, 384)), (0.75, (384, 384)), (0.5, (256, 256))])
def test_a_canvas_has_the_sides_that_the_hourglass_needs(scale: float, canvas: tuple[int, int]) -> None:
    size_divisor = ModelParams(backbone="hourglass104", input_size=(512, 384)).size_divisor

    letterbox = letterbox_at_scale((700, 520), (512, 384), scale, size_divisor=size_divisor)

    assert letterbox.canvas == canvas
    middle = geometry.apply(letterbox.affine, np.array([[520 / 2, 700 / 2]]))
    np.testing.assert_allclose(middle, [[canvas[1] / 2, canvas[0] / 2]])


def test_the_look_at_scale_one_is_the_letterbox_the_network_was_trained_on() -> None:
    np.testing.assert_array_equal(
        letterbox_at_scale((700, 520), (512, 384), 1.0, size_divisor=32).affine,
        geometry.letterbox((700, 520), (512, 384)),
    )
