from deepmark.tracking.dagster_events import report_epoch


def test_without_dagster_an_epoch_is_reported_to_no_one(monkeypatch, capsys):
    monkeypatch.delenv("DAGSTER_PIPES_CONTEXT", raising=False)
    report_epoch({"loss": 1.0}, 1)

    assert capsys.readouterr() == ("", "")
