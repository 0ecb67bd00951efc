"""Words and numbers that several packages share: splits, strategies, networks, subsets, and scores."""

from enum import StrEnum

COCO_MARK = "written by DeepMark"
"""In the info of a COCO data set that DeepMark wrote."""

COCO_START = rb'\s*\{\s*"info":\s*\{[^}]*"' + COCO_MARK.encode()
"""A pattern of what such a file begins with."""

DRAWN_MARK = "synthetic.json"
"""A file beside train/ and validation/ of a data set that `deepmark synth` drew, with its arguments."""

SUBSETS: dict[str, dict[int, str]] = {
    "scale": {1: "small", 2: "moderate", 3: "large"},
    "occlusion": {1: "slight", 2: "medium", 3: "heavy"},
    "zoom_in": {1: "none", 2: "medium", 3: "large"},
    "viewpoint": {1: "not worn", 2: "frontal", 3: "side or back"},
}
"""The four fields an item carries beside its category, and the words for their values."""

SOURCES: tuple[str, ...] = ("shop", "user")
"""Where an image comes from; the metric is over both."""


class Split(StrEnum):
    """A part of the data set."""

    TRAIN = "train"
    VALIDATION = "validation"


class Strategy(StrEnum):
    """The columns of the paper's table of inference strategies, each including the one before (DeepMark, table 1)."""

    NONE = "none"
    NMS = "nms"
    FLIP = "flip"
    MULTISCALE = "multiscale"


class Backbone(StrEnum):
    """The networks that compute features; the paper's two, and a light one."""

    DLA34 = "dla34"
    HOURGLASS104 = "hourglass104"
    MOBILE = "mobile"


class Kind(StrEnum):
    """What the metric compares, by COCO's names: boxes by their overlap, or landmarks by their similarity (OKS)."""

    BBOX = "bbox"
    KEYPOINTS = "keypoints"


class Frame(StrEnum):
    """What labels refer to where EXIF data turns an image: its pixels as stored, or the image as people see it."""

    STORED = "stored"
    UPRIGHT = "upright"


class AskedFrom(StrEnum):
    """Why people are asked: the audit's list, where the model is least certain, or images without labels."""

    AUDIT = "audit"
    UNCERTAIN = "uncertain"
    NEW = "new"


class LabelTool(StrEnum):
    """For which tool tasks are written."""

    LABEL_STUDIO = "label-studio"
    CVAT = "cvat"
    COCO = "coco"


class Statistics(StrEnum):
    """What drawn images are like: all categories equally frequent, or as DeepFashion2's."""

    EVEN = "even"
    DEEPFASHION2 = "deepfashion2"


class Style(StrEnum):
    """How images of clothes are made: drawn flat, or rendered from surfaces in space."""

    FLAT = "2d"
    SOLID = "3d"


SPLITS: tuple[str, ...] = tuple(Split)
STRATEGIES: tuple[str, ...] = tuple(Strategy)

EXPORTED_STRATEGIES: tuple[str, ...] = (Strategy.NONE.value, Strategy.NMS.value)
"""What an exported graph of one pass serves: NMS is the caller's."""

FOUND_SCORE = 0.05
"""Analyses take a detection of a lower score for none: of a hundred in an image, most are guesses of the network."""

SHOWN_SCORE = 0.3
"""Detections of a lower score are not shown to people, unless they ask; as report.min_score in the profiles."""

SAME_GARMENT_IOU = 0.5
"""Two boxes that overlap by this much are taken to be of the same garment; COCO's lowest threshold."""
