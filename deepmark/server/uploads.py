"""Reads the images of a request: a form with files, or the bytes of one image as the body."""

from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from deepmark.server.limits import Limits
from deepmark.server.refusals import RequestRefusedError

_LONGEST_NAME = 200


class Upload(NamedTuple):
    """The file of an image, and what to call it in messages and in the answer."""

    name: str
    content: bytes


async def read_uploads(request: Request, limits: Limits) -> list[Upload]:
    """The images of the request in their order.

    Raises RequestRefusedError where there are too many bytes or images, or the form is none.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limits.max_bytes:
        raise _too_many_bytes(limits)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        body = b"".join([chunk async for chunk in _limited(request, limits)])
        return [Upload("the image", body)]
    return await _read_form(request.headers, _limited(request, limits), limits)


async def _limited(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > limits.max_bytes:
                raise _too_many_bytes(limits)
            yield chunk
    except ClientDisconnect:  # nobody reads the answer, but it is counted and no traceback is logged
        raise RequestRefusedError(400, "cut_off", "the request ended before its body did.") from None


async def _read_form(headers: Headers, body: AsyncIterator[bytes], limits: Limits) -> list[Upload]:
    parser = MultiPartParser(headers, body, max_files=limits.max_images + 1, max_fields=limits.max_images)  # type: ignore[arg-type]  # any async iterator does
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:  # KeyError where the boundary is missing
        if "Too many files" in str(error):
            raise _too_many_images(limits) from None
        raise RequestRefusedError(
            400, "bad_form", f"the body is not a form that can be read ({error}). Send each image as a file of a form."
        ) from None
    try:
        return await _files(form, limits)
    finally:
        await form.close()


async def _files(form: FormData, limits: Limits) -> list[Upload]:
    files = []
    for field, part in form.multi_items():
        if not isinstance(part, UploadFile):
            message = f"the form's field '{field[:50]}' holds text. Send files only; options go into the URL."
            raise RequestRefusedError(400, "bad_form", message)
        files.append(part)
    if not files:
        raise RequestRefusedError(400, "no_image", "the form holds no file. Send each image as a file of a form.")
    if len(files) > limits.max_images:
        raise _too_many_images(limits)
    names = _names([file.filename or "" for file in files])
    return [Upload(name, await file.read()) for name, file in zip(names, files, strict=True)]


def _names(filenames: list[str]) -> list[str]:
    """The last part of each file name, without what cannot be printed; numbered where there is none."""
    names = []
    for number, filename in enumerate(filenames, start=1):
        name = "".join(letter for letter in PurePath(filename.replace("\\", "/")).name if letter.isprintable())
        names.append(name[:_LONGEST_NAME] or f"image {number}")
    return names


def _too_many_bytes(limits: Limits) -> RequestRefusedError:
    return RequestRefusedError(
        413, "too_many_bytes", f"more than {limits.max_bytes:,} bytes. Shrink the images, or send fewer at once."
    )


def _too_many_images(limits: Limits) -> RequestRefusedError:
    return RequestRefusedError(
        413, "too_many_images", f"more than {limits.max_images} images in a request. Send them in several."
    )
