"""The JSON of the answers, for OpenAPI, with examples."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from deepmark.schema import SHOWN_SCORE, STRATEGIES
from deepmark.vocabulary import Vocabulary

_GARMENT: dict[str, Any] = {
    "category": "skirt",
    "score": 0.91,
    "box": [212.4, 318.0, 398.7, 602.1],
    "landmarks": {"waist left": [230.1, 325.9, 0.71], "waist middle": [301.5, 330.2, 0.64]},
}
_MODEL: dict[str, Any] = {"name": "deepmark version 3", "version": 3, "strategy": "nms", "min_score": 0.3}


class Options(BaseModel):
    """What a request may ask for, in its URL."""

    model_config = ConfigDict(extra="forbid")

    min_score: Annotated[
        float | None,
        Field(ge=0, le=1, description=f"Leave out lower scores. Default: the server's, usually {SHOWN_SCORE:g}."),
    ] = None
    category: Annotated[
        list[str], Field(description="Only garments of these categories; may be given several times.")
    ] = []
    strategy: Annotated[
        Literal[tuple(str(one) for one in STRATEGIES)] | None,  # type: ignore[valid-type]  # made from the schema
        Field(description="Instead of the server's, where the model can do it."),
    ] = None


def options_of(vocabulary: Vocabulary) -> type[Options]:
    """The same, with the names of the categories in OpenAPI. They are not checked here: the model may change."""
    names = [category.name for category in vocabulary.categories]
    described = Field(
        description=Options.model_fields["category"].description,
        json_schema_extra=lambda schema: schema.update(items={"type": "string", "enum": list(names)}),
    )
    return create_model("Options", __base__=Options, category=(Annotated[list[str], described], []))


class Garment(BaseModel):
    """A garment."""

    category: str
    score: Annotated[float, Field(description="0..1")]
    pose_score: Annotated[
        float | None, Field(description="Of the landmarks together, 0..1; only of a model with predict.rescore")
    ] = None
    box: Annotated[list[float], Field(description="x0 y0 x1 y1, pixels of the upright image")]
    landmarks: Annotated[
        dict[str, tuple[float, float, float]],
        Field(description="By name: x and y in pixels of the upright image, and the score; 0 for a rough position."),
    ]


class ImageAnswer(BaseModel):
    """What was found in an image."""

    name: Annotated[str, Field(description="Of the file in the form")]
    width: Annotated[int, Field(description="Pixels, after the image was turned upright by its EXIF data")]
    height: int
    note: Annotated[str | None, Field(description="What was left out, such as all frames but the first")]
    garments: Annotated[list[Garment], Field(description="Best first")]


class ModelAnswer(BaseModel):
    """The model that was asked."""

    name: str
    version: Annotated[int | None, Field(description="Of the registered model; null for a file")]
    strategy: str
    min_score: float


class DetectAnswer(BaseModel):
    """The answer to a request: the images in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": _MODEL,
                "images": [{"name": "street.jpg", "width": 768, "height": 1024, "note": None, "garments": [_GARMENT]}],
            }
        }
    )

    model: ModelAnswer
    images: list[ImageAnswer]


class ErrorFacts(BaseModel):
    """What is wrong, and why."""

    status: int
    code: Annotated[str, Field(description="For programs; one word for each kind of error")]
    message: Annotated[str, Field(description="For people: what, where, and what to do")]
    image: Annotated[str | None, Field(description="The name of the image that it is about")]


class ErrorAnswer(BaseModel):
    """The body of every answer with a status of 400 or more."""

    error: ErrorFacts


def _error(status: int, code: str, description: str, message: str, image: str | None = None) -> dict[str, Any]:
    example = {"error": {"status": status, "code": code, "message": message, "image": image}}
    return {
        "model": ErrorAnswer,
        "description": description,
        "content": {"application/json": {"example": example}},
    }


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error(
        400,
        "image_refused",
        "Not an image, cut off, or with too many pixels; or a form that cannot be read",
        "street.jpg: a JPEG that is cut off. Copy it again.",
        "street.jpg",
    ),
    401: _error(401, "no_token", "The token is missing or wrong", "this server wants a token: Authorization: Bearer …"),
    408: _error(408, "too_slow", "The request did not arrive in time", "the request did not arrive within 30 seconds."),
    413: _error(413, "too_many_bytes", "Too many bytes or images", "more than 20,000,000 bytes. Shrink the images."),
    422: _error(
        422, "bad_option", "An option in the URL is wrong", "min_score: Input should be less than or equal to 1."
    ),
    429: _error(429, "busy", "Too many requests wait; see Retry-After", "64 requests wait already. Try again soon."),
    503: _error(503, "no_time", "The answer was not ready in time; see Retry-After", "no answer within 30 seconds."),
}

REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One image as the body, or one or several as the files of a form.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
