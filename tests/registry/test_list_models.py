"""`deepmark models` lists the versions; a registry that cannot be reached is named."""

from workspaces import refused

from deepmark.registry.versions import Registry


def test_models_lists_versions_for_people_and_for_scripts(deepmark, pair):
    people = deepmark("models", "--workspace", pair.root)
    script = deepmark("models", "--workspace", pair.root, "--json").facts

    assert next(line.split()[:2] for line in people.out.splitlines() if "champion" in line) == ["1", "champion"]
    assert [one["version"] for one in script] == [2, 1]
    assert script[0]["landmark_ap"] > script[1]["landmark_ap"]
    assert script[1]["megabytes"] > 0
    assert len(script[1]["reigns"]) == 1


def test_a_registry_that_cannot_be_reached_is_named(deepmark, trained, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    for command in ("promote", "rollback", "models"):
        done = deepmark(command, "--workspace", trained.root)
        assert refused(done, "MLflow at http://127.0.0.1:9 cannot be used", "MLFLOW_TRACKING_URI")


def test_versions_that_were_registered_otherwise_are_listed_without_what_is_unknown(deepmark, pair):
    registry = Registry(pair.root)
    version = registry.versions()[0]
    source = registry._client.get_model_version("deepmark", str(version.number)).source
    number = registry.create_version(source, version.run_id, {})
    listed = deepmark("models", "--workspace", pair.root)

    assert listed.code == 0, listed.err
    assert f"{number} " in listed.out
