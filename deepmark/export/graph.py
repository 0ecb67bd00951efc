"""The detector as one graph, from the bytes of canvases to garments, in operations that ONNX has.

The decoding is that of `infer.decode`. Heatmaps are computed at every cell, and the other four heads only at the peaks.
"""

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from deepmark.infer.decode import MAX_PEAK_DISTANCE
from deepmark.model.backbones.deform import TAPS, DeformConv2d, deform_conv2d
from deepmark.model.backbones.dla import DeformConvBlock
from deepmark.model.detector import Detector
from deepmark.model.heads import STRIDE, Head
from deepmark.params import PredictParams
from deepmark.shapes import Float, Int64, UInt8

_STEEP = 1e30
"""Turns the least difference of two logits into a logit whose probability is 0."""

_FAR = 1e9
"""Where a peak is that there is not, in cells."""


@torch.library.custom_op("deepmark::deform_conv", mutates_args=())
def deform_conv(x: Tensor, weight: Tensor, offset: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """`deform_conv2d` as one operation that becomes one node, with the inputs in the order of ONNX's DeformConv."""
    return deform_conv2d(x, offset, mask, weight, bias)


@deform_conv.register_fake
def _(x: Tensor, weight: Tensor, offset: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])


class _DeformConvReLU(nn.Module):
    """A deformable layer that calls the one operation, the batch normalisation after it folded into its weights, ReLU.

    torch's exporter folds those after plain convolutions only.
    """

    def __init__(self, layer: DeformConv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv_offset_mask = layer.conv_offset_mask
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        self.weight, self.bias = fuse_conv_bn_weights(
            layer.weight, layer.bias, mean, variance, norm.eps, norm.weight, norm.bias
        )

    def forward(self, x: Tensor) -> Tensor:
        offset, mask = self.conv_offset_mask(x).split([2 * TAPS, TAPS], dim=1)
        return deform_conv(x, self.weight, offset, self.bias, mask.sigmoid()).relu()


class _AtWindows(nn.Sequential):
    """A head at the middles of the windows of `_windows`.

    Its weights are in the order of these windows: to bring windows into the order of the weights takes longer than the
    product with them.
    """

    def __init__(self, head: Head) -> None:
        first, last = head.convolutions
        super().__init__(
            nn.Linear(9 * first.in_channels, first.out_channels),
            nn.ReLU(),
            nn.Linear(last.in_channels, last.out_channels),
        )
        weights = first.weight.permute(0, 2, 3, 1).flatten(1), first.bias, last.weight.flatten(1), last.bias
        for parameter, values in zip(self.parameters(), weights, strict=True):
            parameter.data = cast(Tensor, values).data.contiguous()


class DetectorGraph(nn.Module):
    """Canvases in, the garments in each of them out, best first, as tensors of fixed size.

    The outputs are those of `runtime.contract.graph_outputs`, in their order.
    """

    own: Tensor
    channels: Tensor
    mirror: Tensor

    def __init__(self, detector: Detector, predict: PredictParams, *, peaks: int, flip: bool = False) -> None:
        """`peaks` is how many of the strongest peaks of a landmark's heatmap may place it; `infer.decode` takes 100.

        With `flip` the network sees each canvas and its mirror image, and their maps are averaged as by `infer.tta`.
        """
        super().__init__()
        self.flip = flip
        self.detector = copy.deepcopy(detector).cpu().float().eval()
        for name, module in list(self.detector.named_modules()):
            if isinstance(module, DeformConvBlock) and isinstance(module.conv, DeformConv2d):
                norm = cast(nn.BatchNorm2d, module.actf[0])
                self.detector.set_submodule(name, _DeformConvReLU(module.conv, norm))
        heads = self.detector.heads
        self.center_offset, self.size = _AtWindows(heads.center_offset), _AtWindows(heads.size)
        self.landmark_vectors = _AtWindows(heads.landmark_vectors)
        self.landmark_offset = _AtWindows(heads.landmark_offset)
        self.rows, self.peaks, self.blend = predict.max_detections, peaks, predict.landmark_blend
        self.bound = float(torch.logit(torch.tensor(predict.landmark_threshold)))
        self.register_buffer("own", torch.from_numpy(detector.vocabulary.own_landmarks))
        self.register_buffer("channels", torch.from_numpy(detector.layout.by_category))
        self.register_buffer("mirror", torch.tensor(detector.layout.mirror))

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        canvases = self.detector.normalize(images)
        *_, features = self.detector.backbone(torch.cat([canvases, canvases.flip(3)]) if self.flip else canvases)
        padded = F.pad(features, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        scores, categories, boxes, coarse = self._garments(features, padded)
        points, peak_scores = self._landmark_peaks(features, padded)
        image = torch.arange(images.shape[0])[:, None, None]
        channels = self.channels[categories]
        landmarks, landmark_scores = _refine(boxes, coarse, points[image, channels], peak_scores[image, channels])
        if self.blend:
            landmarks = landmarks + self.blend * (coarse - landmarks)
        own = self.own[categories]
        return (
            boxes * STRIDE,
            scores,
            categories,
            torch.where(own[..., None], landmarks * STRIDE, 0.0),
            torch.where(own, landmark_scores, 0.0),
        )

    def _garments(self, features: Tensor, padded: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores, categories, boxes and coarse landmarks of the strongest centre peaks; coordinates in cells."""
        heads, (height, width) = self.detector.heads, features.shape[2:]
        logits = self._logits(heads.center_heatmap(features))
        batch = logits.shape[0]
        heights, places = _only_peaks(logits).flatten(1).topk(self.rows)
        categories, cells = places // (height * width), places % (height * width)
        image = torch.arange(batch)[:, None].expand_as(cells)
        windows = _windows(padded, image.flatten(), cells.flatten(), width)
        middle = _points(cells, width) + self.center_offset(windows).unflatten(0, (batch, self.rows))
        size = self.size(windows)
        vectors = self.landmark_vectors(windows).unflatten(1, (-1, 2))
        if self.flip:
            mirrored = cells + width - 1 - 2 * (cells % width)
            windows = _windows(padded, image.flatten() + batch, mirrored.flatten(), width)
            turned = self.landmark_vectors(windows).unflatten(1, (-1, 2))[:, self.mirror]
            size = (size + self.size(windows)) / 2
            vectors = (vectors + turned * torch.tensor([-1.0, 1.0])) / 2
        half = size.unflatten(0, (batch, self.rows)).clamp(min=0) / 2
        vectors, channels = vectors.unflatten(0, (batch, self.rows)), self.channels[categories]
        vectors = vectors.gather(2, channels[..., None].expand(-1, -1, -1, 2))
        scores = heights.sigmoid()
        return scores, categories, torch.cat([middle - half, middle + half], dim=2), middle[:, :, None] + vectors

    def _landmark_peaks(self, features: Tensor, padded: Tensor) -> tuple[Tensor, Tensor]:
        """The strongest peaks of every landmark's heatmap above the threshold, best first: points in cells, scores.

        There are as many as in the heatmap that has the most of them, `peaks` at most.
        """
        heads, (_, _, height, width) = self.detector.heads, features.shape
        logits = self._logits(heads.landmark_heatmap(features), channels=self.mirror)
        peaks = _only_peaks(logits)
        most = cast(int, (peaks > self.bound).float().sum((2, 3)).max().clamp(1, self.peaks).long().item())
        torch._check(most >= 1)
        torch._check(most <= height * width)
        heights, cells = peaks.flatten(2).topk(most)
        place = (heights > self.bound).nonzero(as_tuple=True)
        offsets = self.landmark_offset(_windows(padded, place[0], cells[place], width))
        points = torch.full((*heights.shape, 2), _FAR).index_put(place, _points(cells[place], width) + offsets)
        return points, torch.where(heights > self.bound, heights.sigmoid(), 0.0)

    def _logits(self, logits: Tensor, channels: Tensor | None = None) -> Tensor:
        """A heatmap of the canvases: with `flip` the mean with those of their mirror images, which are the second half.

        `channels` is where each channel of a mirror image belongs.
        """
        if not self.flip:
            return logits
        straight, turned = logits.unflatten(0, (2, -1)).unbind()
        turned = turned.flip(3) if channels is None else turned.flip(3)[:, channels]
        return ((straight.sigmoid() + turned.sigmoid()) / 2).logit()


def _refine(
    boxes: Float[Tensor, "b n 4"],
    coarse: Float[Tensor, "b n most 2"],
    points: Float[Tensor, "b n most k 2"],
    scores: Float[Tensor, "b n most k"],
) -> tuple[Float[Tensor, "b n most 2"], Float[Tensor, "b n most"]]:
    """`infer.decode`'s: each landmark goes to the nearest peak, if that lies in the box and near enough."""
    apart = points - coarse[:, :, :, None]
    distances = (apart * apart).sum(dim=4).sqrt()
    nearest = distances.argmin(dim=3, keepdim=True)
    peaks = points.gather(3, nearest[..., None].expand(-1, -1, -1, -1, 2)).squeeze(3)
    low, high = boxes[:, :, None, :2], boxes[:, :, None, 2:]
    reach = MAX_PEAK_DISTANCE * (high - low).amax(dim=3)
    taken = ((peaks >= low) & (peaks <= high)).all(dim=3) & (distances.gather(3, nearest).squeeze(3) <= reach)
    return torch.where(taken[..., None], peaks, coarse), torch.where(taken, scores.gather(3, nearest).squeeze(3), 0.0)


def _only_peaks(logits: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The logits of cells that are the greatest of their 3 x 3 window, and minus _STEEP or less of all others.

    A product and a sum take a third of the time of ONNX Runtime's Where with a scalar.
    """
    return logits + _STEEP * (logits - F.max_pool2d(logits, 3, stride=1, padding=1))


def _points(cells: Int64[Tensor, "*n"], width: int) -> Float[Tensor, "*n 2"]:
    return torch.stack([cells % width, cells // width], dim=-1).float()


def _windows(
    padded: Float[Tensor, "b h w c"], image: Int64[Tensor, " k"], cells: Int64[Tensor, " k"], width: int
) -> Float[Tensor, "k 9*c"]:
    """The 3 x 3 windows of the features around cells, their channels last."""
    step, rows, columns = torch.arange(3), padded.shape[1], padded.shape[2]
    y, x = (cells // width)[:, None, None] + step[:, None], (cells % width)[:, None, None] + step
    places = (image[:, None, None] * rows + y) * columns + x
    return padded.flatten(0, 2)[places.flatten(1)].flatten(1)
