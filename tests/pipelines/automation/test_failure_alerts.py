"""Each failure is one alert, and a webhook that does not work stops nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from pipelines.automation import failure_alerts as alerts
from pipelines.jobs.names import CHAIN_TAG, FAILURE_ALERT_SENSOR, WHOLE_CHAIN


@dataclass
class Webhook:
    """A server that keeps the messages that it gets, and answers with `status`, or never."""

    status: int = 200
    hangs: bool = False
    got: list[dict] = field(default_factory=list)
    url: str = ""
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            if hook.hangs:
                hook.done.wait()
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield hook
        hook.done.set()
        server.shutdown()


def failed_run(instance: dg.DagsterInstance, **tags: str) -> dg.RunFailureSensorContext:
    """The context of the sensor for a run in which a step failed."""

    @dg.op
    def refuse() -> None:
        raise dg.Failure("deepmark train: no shards. Make them.", allow_retries=False)

    @dg.job(tags=tags, executor_def=dg.in_process_executor)
    def train() -> None:
        refuse()

    return failure_of(instance, train.execute_in_process(instance=instance, raise_on_error=False))


def failure_of(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dg.RunFailureSensorContext:
    (event,) = [event for event in result.all_events if event.is_failure and not event.is_step_event]
    return dg.build_run_status_sensor_context(
        sensor_name=FAILURE_ALERT_SENSOR, dagster_instance=instance, dagster_run=result.dagster_run, dagster_event=event
    ).for_run_failure()


@pytest.fixture
def failed() -> Iterator[Callable[..., dg.RunFailureSensorContext]]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield partial(failed_run, instance)


def test_the_webhook_gets_the_message_of_the_step_that_failed(webhook, failed, monkeypatch):
    monkeypatch.setenv(alerts.WEBHOOK, webhook.url)
    context = failed()

    assert alerts.failure_alert_sensor(context) is None
    (message,) = webhook.got
    assert message["text"] == "train failed: deepmark train: no shards. Make them."
    assert message["run_id"] == context.dagster_run.run_id


def test_the_alert_of_a_killed_run_says_that_it_is_started_again(webhook, failed, monkeypatch):
    monkeypatch.setenv(alerts.WEBHOOK, webhook.url)
    alerts.failure_alert_sensor(failed(**{"dagster/will_retry": "true"}))

    assert webhook.got[0]["text"].endswith("\nIt is started again.")


def test_the_alert_of_a_failed_check_has_its_result(webhook, monkeypatch):
    @dg.asset(check_specs=[dg.AssetCheckSpec("gate", asset="candidate", blocking=True)])
    def candidate() -> dg.MaterializeResult:
        found = dg.AssetCheckResult(check_name="gate", passed=False, description="landmark AP: 0.1, needed 0.2")
        return dg.MaterializeResult(check_results=[found])

    monkeypatch.setenv(alerts.WEBHOOK, webhook.url)
    job = dg.Definitions(assets=[candidate], jobs=[dg.define_asset_job("release")]).resolve_job_def("release")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        alerts.failure_alert_sensor(failure_of(instance, result))

    (message,) = webhook.got
    assert message["text"] == "release failed: candidate: the check gate failed: landmark AP: 0.1, needed 0.2"


def test_without_a_webhook_failures_are_logged(failed, monkeypatch, capsys):
    monkeypatch.delenv(alerts.WEBHOOK, raising=False)
    alerts.failure_alert_sensor(failed())

    assert "train failed: deepmark train: no shards. Make them." in capsys.readouterr().err


def test_a_chain_and_its_runs_are_one_alert(webhook, failed, monkeypatch):
    monkeypatch.setenv(alerts.WEBHOOK, webhook.url)
    alerts.failure_alert_sensor(failed(**{CHAIN_TAG: "0b1c"}))
    assert webhook.got == []

    alerts.failure_alert_sensor(failed(**{CHAIN_TAG: WHOLE_CHAIN}))
    assert len(webhook.got) == 1


def test_a_webhook_that_hangs_is_given_up(webhook, monkeypatch):
    monkeypatch.setattr(alerts, "TIMEOUT_SECONDS", 0.1)
    webhook.hangs = True

    assert alerts.post(webhook.url, {"text": "?"}) == "TimeoutError: timed out"


def test_a_webhook_that_refuses_is_reported_and_stops_nothing(webhook, failed, monkeypatch, capsys):
    monkeypatch.setenv(alerts.WEBHOOK, webhook.url)
    webhook.status = 503

    assert alerts.failure_alert_sensor(failed()) is None
    assert f"{alerts.WEBHOOK}: answered 503 Service Unavailable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:9/", "Connection refused"),
        ("http://no host/", "InvalidURL"),
        ("http://[", "ValueError"),
        ("file:///etc/hostname", "must begin with http"),
        ("chat", "unknown url type"),
    ],
)
def test_text_that_is_no_url_is_reported_and_not_raised(url, problem):
    assert problem in (alerts.post(url, {"text": "?"}) or "")
