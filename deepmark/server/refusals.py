"""Requests that are not answered with detections: a status, a code for programs, and a sentence for people."""

from typing import Any

from starlette.responses import JSONResponse

from deepmark.errors import DeepmarkError


class RequestRefusedError(DeepmarkError):
    """A request that cannot be answered; the client gets its status and its message."""

    def __init__(
        self, status: int, code: str, message: str, *, image: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.image, self.headers = status, code, image, headers

    def answer(self) -> JSONResponse:
        return JSONResponse(error_body(self.status, self.code, str(self), self.image), self.status, self.headers)


def error_body(status: int, code: str, message: str, image: str | None = None) -> dict[str, Any]:
    """The JSON of every error: `status` is that of the answer, `image` the name of the image that it is about."""
    return {"error": {"status": status, "code": code, "message": message, "image": image}}
