"""A server in this process, over an untrained network that finds something everywhere."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from encoded_images import encoded, smooth
from fastapi.testclient import TestClient
from served_versions import Versions

from deepmark.infer.load_detector import LoadedDetector, load_detector
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.server.app import create_app
from deepmark.server.limits import Limits
from deepmark.server.metrics import Metrics
from deepmark.server.served_model import FollowedModel
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("served") / "model.safetensors"
    few = PROFILE_PREDICT_PARAMS.model_copy(update={"max_detections": 20})
    save_detector(
        build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1), file, predict=few
    )
    return file


@pytest.fixture(scope="session")
def detector(model: Path, jpeg: bytes) -> LoadedDetector:
    """It leaves out the worse half of what it finds in `jpeg`."""
    everything = load_detector(model, device="cpu", min_score=0.0)
    return everything.with_options(min_score=float(everything(jpeg).scores[10]))


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return encoded(smooth((90, 60)), "jpeg", quality=90)


@dataclass
class Served:
    """A running application, and what it was made of."""

    client: TestClient
    metrics: Metrics
    followed: FollowedModel

    def post(self, *words: Any, **options: Any) -> Any:
        return self.client.post("/v1/detect", *words, **options)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """A function that starts an application over a detector, or a source of several."""
    with ExitStack() as stack:

        def start(source: Any, *, token: str | None = None, **limits: Any) -> Served:
            metrics = Metrics()
            source = source if isinstance(source, Versions) else Versions({None: source})
            followed = FollowedModel(source, poll=3600, metrics=metrics)
            app = create_app(followed, limits=Limits(**limits), metrics=metrics, token=token)
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            return Served(client, metrics, followed)

        yield start
