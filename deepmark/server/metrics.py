"""What a server counts, in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server; each has the unit in its name."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self.requests = Counter(
            "deepmark_requests",
            "Requests to /v1/detect, by the status of their answer.",
            ["status"],
            registry=self._all,
        )
        self.request_seconds = Histogram(
            "deepmark_request_seconds", "From a request to its answer.", buckets=_SECONDS, registry=self._all
        )
        self.waiting = Gauge(
            "deepmark_waiting_requests", "Requests that are being read, wait or are computed.", registry=self._all
        )
        self.garments = Counter("deepmark_garments", "Garments found, by category.", ["category"], registry=self._all)
        self.batch_images = Histogram(
            "deepmark_batch_images",
            "Images that went through the network together.",
            buckets=_IMAGES,
            registry=self._all,
        )
        self.batch_seconds = Histogram(
            "deepmark_batch_seconds", "A batch in the network, decoding included.", buckets=_SECONDS, registry=self._all
        )
        self.model = Info("deepmark_model", "The model that serves.", registry=self._all)
        self.model_changes = Counter(
            "deepmark_model_changes", "New champions, by what became of them.", ["result"], registry=self._all
        )

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._all)
