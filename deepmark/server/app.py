"""The HTTP interface: POST /v1/detect, /healthz, /readyz, /metrics, and the page."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepmark.schema import FOUND_SCORE
from deepmark.server.answers import ERRORS, REQUEST_BODY, DetectAnswer, options_of
from deepmark.server.limits import Limits
from deepmark.server.metrics import Metrics
from deepmark.server.refusals import RequestRefusedError, error_body
from deepmark.server.served_model import FollowedModel
from deepmark.server.service import DetectService
from deepmark.version import __version__
from deepmark.vocabulary import Vocabulary
from deepmark.web.page import HEADERS, STATIC, page_config

DETECT = "/v1/detect"


def _description(vocabulary: Vocabulary) -> str:
    name = "skirt" if "skirt" in vocabulary.by_name else vocabulary.categories[0].name
    question = f"min_score=0.5&category={quote(name)}"
    return "Finds clothes and their landmarks in images. Send an image to /v1/detect:\n\n" + "\n".join(
        (
            "    curl --data-binary @street.jpg http://127.0.0.1:8000/v1/detect",
            f"    curl -F image=@a.jpg -F image=@b.jpg 'http://127.0.0.1:8000/v1/detect?{question}'",
        )
    )


def create_app(model: FollowedModel, *, limits: Limits, metrics: Metrics, token: str | None = None) -> FastAPI:
    """The application. With a token, /v1/detect and /metrics want `Authorization: Bearer TOKEN`."""
    vocabulary = model.current.vocabulary

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with DetectService(model, limits, metrics) as app.state.service:
            follower = asyncio.create_task(model.follow())
            yield
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower

    app = FastAPI(
        title="DeepMark",
        version=__version__,
        description=_description(vocabulary),
        lifespan=lifespan,
        redoc_url=None,  # it loads scripts from elsewhere
    )
    _add_errors(app)
    allowed, options_now = [Depends(_token_check(token))], options_of(vocabulary)

    @app.post(
        DETECT,
        summary="Clothes and landmarks in one or several images",
        response_model=DetectAnswer,
        responses=ERRORS,
        openapi_extra=REQUEST_BODY,
        dependencies=allowed,
    )
    async def detect(request: Request, options: Annotated[options_now, Query()]) -> Response:  # type: ignore[valid-type]  # made of the vocabulary
        return JSONResponse(await request.app.state.service.answer(request, options))

    @app.get(DETECT, include_in_schema=False)
    async def wrong_method() -> None:
        raise HTTPException(405, headers={"Allow": "POST"})  # the page would answer that there is no such file

    @app.get("/healthz", summary="Whether the process works")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether images can be sent, and the model that answers")
    async def readyz() -> dict[str, Any]:
        return {"status": "ready", "model": model.current.facts}

    @app.get("/metrics", summary="What the server counts, for Prometheus", dependencies=allowed)
    async def show_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/config.json", include_in_schema=False)
    async def config() -> dict[str, Any]:
        now = model.current
        facts = {"model": now.facts["name"], "least_score": FOUND_SCORE, "min_score": now.min_score}
        return page_config("server", now.vocabulary, **facts)

    app.mount("/", _Page(directory=STATIC, html=True))
    app.add_middleware(_Counted, metrics=metrics)
    return app


class _Page(StaticFiles):
    """The page's files, with the headers that they should have."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


class _Counted:
    """Counts the requests to /v1/detect, whatever answers them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != DETECT:
            await self._app(scope, receive, send)
            return
        started = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(str(message["status"])).inc()
                self._metrics.request_seconds.observe(time.monotonic() - started)
            await send(message)

        await self._app(scope, receive, counted)


def _token_check(token: str | None) -> Any:
    async def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> None:
        if token is None:
            return
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            what = "this server wants a token" if given is None else "the token is wrong"
            message = f"{what}. Send the header Authorization: Bearer TOKEN."
            raise RequestRefusedError(401, "no_token", message, headers={"WWW-Authenticate": "Bearer"})

    return check


def _add_errors(app: FastAPI) -> None:
    """Every error becomes the JSON of answers.ErrorAnswer."""

    @app.exception_handler(RequestRefusedError)
    async def refused(request: Request, error: RequestRefusedError) -> JSONResponse:
        return error.answer()

    @app.exception_handler(RequestValidationError)
    async def wrong_option(request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return JSONResponse(error_body(422, "bad_option", "; ".join(reasons) + "."), 422)

    @app.exception_handler(HTTPException)
    async def no_such_place(request: Request, error: HTTPException) -> JSONResponse:
        message = f"{request.method} {request.url.path}: {str(error.detail).lower()}. POST images to /v1/detect."
        code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
        return JSONResponse(error_body(error.status_code, code, message), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        message = "the server failed; its log says where. The same request may succeed later."
        return JSONResponse(error_body(500, "failed", message), 500)
