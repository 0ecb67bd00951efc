"""`deepmark detect` of one video or camera: garments with track numbers, as JSON lines and as a drawn video."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.cli.outputs import Format, check_folder, check_new_file
from deepmark.errors import DeepmarkError
from deepmark.infer.image_files import stem_of

if TYPE_CHECKING:
    from deepmark.runtime.image_detector import ImageDetector
    from deepmark.types import Detections


_WRITTEN = (".mp4", ".mov", ".mkv")


def detect_in_video(
    source: str,
    load: Callable[[], "ImageDetector"],
    keep: Callable[["Detections"], "Detections"],
    *,
    out: Path | None,
    draw: Path | None,
    crops: Path | None,
    smooth: bool,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Detect in a video, or with a camera until Ctrl-C; returns the facts of `detect_video`.

    Raises DeepmarkError where it cannot be read, or a file cannot be written.
    """
    from deepmark.video.detect_video import detect_video
    from deepmark.video.read_video import VideoReader
    from deepmark.video.track import UNSURE_SCORE

    VideoReader(source).close()  # says what is wrong with it before anything else is done
    name = f"camera-{source}" if source.isdecimal() else stem_of(Path(source))
    if crops is not None:
        raise DeepmarkError(f"--crops {crops}: crops are made of images, not of a video. Leave it out.")
    inputs = [Path(source)]
    if out is not None:
        if out.suffix.lower() != ".jsonl":
            raise DeepmarkError(f"--out {out}: of a video a line for each frame is written. Name a file with .jsonl.")
        lines = Format("lines of `deepmark detect`", lambda start: start.startswith(b'{"frame": '))
        check_new_file(out, "--out", lines, inputs=inputs)
    drawn = None
    if draw is not None:
        drawn = draw if draw.suffix.lower() in _WRITTEN and not draw.is_dir() else draw / f"{name}.mp4"
        check_folder(drawn.parent, "--draw")
        if drawn.is_file() and drawn.stat().st_size:
            raise DeepmarkError(f"--draw {drawn}: is there already. Remove it, or name another place.")
        check_new_file(drawn, "--draw", Format("videos", lambda start: False), inputs=inputs)
    detector = load()
    unsure = detector.with_options(min_score=min(UNSURE_SCORE, detector.min_score))
    return detect_video(
        source,
        lambda image: keep(unsure(image)),
        min_score=detector.min_score,
        smooth=smooth,
        draw_to=drawn,
        out=out,
        note=note,
    )
