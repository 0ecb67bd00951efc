"""Names of jobs, of schedule and sensors, and of run tags.

Instances have them on disk: with another name, a schedule would be off, and a sensor would start from the beginning.
"""

RELEASE = "release"
"""The job, and the group, of the assets that make a checkpoint the champion."""

TRAIN_AND_EVALUATE = "train_and_evaluate"
RETRAIN = "retrain"
EXPERIMENT = "experiment"

WEEKLY_RETRAINING = "weekly_retraining"
RAW_DATA_SENSOR = "raw_data_settled"
FAILURE_ALERT_SENSOR = "tell_of_failures"
RETRY_SENSOR = "killed_runs_start_again"

CHAIN_TAG = "deepmark/chain"
"""Of the run of a chain: `WHOLE_CHAIN`. Of each run that a chain makes: the id of the chain's run."""

WHOLE_CHAIN = "whole"

HOST_TAG = "deepmark/host"
"""Of a run that was made without a server: the machine, which may not be the daemon's."""

RETRY_TAG = "deepmark/again"
"""Of a run that the retry sensor asked for: how often it has done so for this work."""

EXPERIMENT_TAG = "deepmark/experiment"
"""Of a run of the job `experiment`: the name of the experiment."""

PARAMS_TAG = "deepmark/params"
"""Of a run of the job `experiment`: the parameters that differ from params.yaml."""
