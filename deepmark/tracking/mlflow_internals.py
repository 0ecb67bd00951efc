"""Everything of MLflow that it does not document, and that this package calls. Read in version 3.17.2."""


def forget_places_of_artifacts() -> None:
    """MLflow remembers where a run's artifacts are by the run's id alone, and two copies of a workspace share those."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
