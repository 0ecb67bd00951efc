"""`deepmark serve`: the detector behind a URL, with a page for people."""

from pathlib import Path
from typing import Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, StrategyOption, WorkspaceOption, chosen_model, print_json
from deepmark.schema import SHOWN_SCORE, Strategy


def serve(
    model: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="A model.onnx or model.safetensors, a workspace, models:/deepmark@champion, or open, which comes with "
            "DeepMark. By default that of the workspace; outside of one, open.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Beyond this machine a token is required.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    strategy: StrategyOption = Strategy.NMS,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            show_default=False,
            help=f"Lower scores are left out: {SHOWN_SCORE:g}, or predict.min_score if that is higher. "
            "A request may ask for another.",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1; the first GPU if there is one.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the token that requests must bring; or set DEEPMARK_TOKEN."),
    ] = None,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Of a request.")] = 20,
    max_megapixels: Annotated[float, typer.Option(min=0.001, max=50, help="Of an image.")] = 50,
    max_images: Annotated[int, typer.Option(min=1, help="In a request.")] = 16,
    max_waiting: Annotated[int, typer.Option(min=1, help="Requests at once; one more is told to come again.")] = 64,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds from a request to its answer.")] = 30,
    max_batch: Annotated[int, typer.Option(min=1, help="Images that the network sees together; GPUs take more.")] = 4,
    max_delay: Annotated[float, typer.Option(min=0, help="Milliseconds that an image waits for others.")] = 5,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks for a new champion.")] = 10,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Answer requests with the garments in their images, and show a page that does it for people.

    `curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/detect` asks it; /docs explains the interface, /healthz,
    /readyz and /metrics watch it. With models:/deepmark@champion it goes over to every new champion without losing a
    request. SIGTERM and Ctrl-C end it after the requests that it has taken.
    """
    from deepmark.errors import extras_named

    with extras_named():
        from deepmark.server.app import create_app
        from deepmark.server.limits import Limits
        from deepmark.server.metrics import Metrics
        from deepmark.server.run import check_reachable, listen, read_token, run_app
        from deepmark.server.served_model import FollowedModel
        from deepmark.server.sources import model_source

    token = read_token(token_file)
    check_reachable(host, token)
    used = chosen_model(model, "serve", strategy=strategy, quiet=as_json, workspace=workspace, own=".")
    limits = Limits(
        max_bytes=round(1e6 * max_megabytes),
        max_pixels=round(1e6 * max_megapixels),
        max_images=max_images,
        max_waiting=max_waiting,
        timeout=timeout,
        max_batch=max_batch,
        max_delay=max_delay / 1000,
    )
    options = {"strategy": strategy.value, "min_score": min_score, "device": device}
    metrics = Metrics()
    with listen(host, port) as listener:
        source = model_source(used, workspace=workspace.resolve(), options=options)
        served = FollowedModel(source, poll=poll, metrics=metrics)
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

        def tell() -> None:
            if as_json:
                print_json({"url": url, "model": served.current.facts})
            else:
                typer.echo(f"{url}: {served.current.facts['name']}. Open it in a browser; Ctrl-C ends it.")

        app = create_app(served, limits=limits, metrics=metrics, token=token)
        run_app(app, listener, finish_within=timeout, started=tell)
