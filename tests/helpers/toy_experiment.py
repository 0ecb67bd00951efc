"""A small graph whose stages are a few lines of Python, for experiments."""

GRAPH = """
stages:
  ingest: {cmd: exec python commands.py ingest, deps: [data/raw/train], params: [ingest], outs: [data/records]}
  train:
    cmd: exec python commands.py train
    deps: [data/records]
    params: [train]
    outs: [data/checkpoint]
    metrics: [metrics/train.json: {cache: false}]
  report: {cmd: exec python commands.py report, deps: [metrics/train.json], params: [report, predict], outs: [report]}
"""

COMMANDS = r"""
import json, os, pathlib, signal, subprocess, sys, time

def write(path, value):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(json.dumps(value))

def ingest():
    write("data/records/count", len(list(pathlib.Path("data/raw/train").iterdir())))

def train():
    from deepmark.tracking.dagster_events import report_epoch
    from deepmark.params import load_params

    params = load_params(pathlib.Path("params.yaml")).train
    for epoch in range(1, params.epochs + 1):
        checkpoint = pathlib.Path(f"runs/train/digest/{epoch}")
        if not checkpoint.exists():
            report_epoch({"loss": 8 / epoch}, epoch)
            write(checkpoint, epoch)
            if epoch == 1 and pathlib.Path("dies").exists():
                os.kill(os.getpid(), signal.SIGKILL)
    if pathlib.Path("endless").exists():
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        write("started", os.getpid())
        time.sleep(600)
    start = params.init and pathlib.Path(params.init).read_text()
    names = ("DEEPMARK_EXPERIMENT", "MLFLOW_TRACKING_URI")
    write("data/checkpoint/training.json", {"start": start, **{name: os.environ.get(name) for name in names}})
    write("metrics/train.json", {"loss": 8 / params.epochs})

def report():
    write("report/index.html", "report")

globals()[sys.argv[1]]()
"""
