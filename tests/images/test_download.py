"""Images behind URLs: what is read, and what is said where there is none."""

import threading

import numpy as np
import pytest
from encoded_images import encoded, noise
from web_images import body, redirect, status, web_server

from deepmark.errors import DeepmarkError
from deepmark.images import download, is_url, read_image

PNG = encoded(noise())


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(bytes(3000))


@pytest.fixture(scope="module")
def finish():
    return threading.Event()


@pytest.fixture(scope="module")
def site(finish):
    def silent(handler):
        finish.wait(30)

    def dripping(handler):
        handler.send_response(200)
        handler.end_headers()
        while not finish.wait(0.01):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    answers = {
        "/photo.png": body(PNG),
        "/moved": redirect("/photo.png"),
        "/a%20photo%C3%A9?size=large%20one": body(PNG),
        "/circle": redirect("/circle"),
        "/to-a-file": redirect("file:///etc/hostname"),
        "/to-ftp": redirect("ftp://127.0.0.1/photo.png"),
        "/page": body(b"<!doctype html><p>Sign in"),
        "/long": body(b"", length=64_000_001),
        "/cut": body(PNG[:50], length=len(PNG)),
        "/endless": endless,
        "/silent": silent,
        "/dripping": dripping,
        **{f"/{code}": status(code) for code in (401, 403, 410, 418, 429, 503)},
    }
    with web_server(answers) as url:
        yield url
        finish.set()


@pytest.mark.parametrize("path", ["photo.png", "moved", "a photoé?size=large one#top"])
def test_an_image_behind_a_url_is_that_image(site, path):
    assert np.array_equal(read_image(f"{site}/{path}"), noise())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none", "the server answers 404: it has nothing there. Check the address."),
        ("401", "the server answers 401: it asks for a login. Download the image yourself."),
        ("403", "the server answers 403: it does not allow it. Download the image yourself."),
        ("410", "the server answers 410: it has nothing there any more. Check the address."),
        ("418", "the server answers 418: it refuses. Check the address."),
        ("429", "the server answers 429: it has had too many requests. Try again later."),
        ("503", "the server answers 503: it has a fault. Try again later."),
        ("page", "an HTML page, not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PPM image."),
        ("circle", "leads on more than 5 times, or to no http or https address. Download the image yourself."),
        ("to-a-file", "leads on more than 5 times, or to no http or https address. Download the image yourself."),
        ("to-ftp", "leads on more than 5 times, or to no http or https address. Download the image yourself."),
        ("long", "64,000,001 bytes, more than 64,000,000. Shrink the image first."),
        ("cut", f"the connection ended after 50 of {len(PNG)} bytes. Try again."),
    ],
)
def test_what_is_no_image_is_told_with_the_reason(site, path, message):
    with pytest.raises(DeepmarkError) as error:
        read_image(f"{site}/{path}")
    assert str(error.value) == f"{site}/{path}: {message}"


def test_a_body_of_unknown_length_is_read_up_to_the_limit(site, monkeypatch):
    monkeypatch.setattr(download, "MAX_DOWNLOAD", 2000)

    with pytest.raises(DeepmarkError, match=r"/endless: more than 2,000 bytes"):
        read_image(f"{site}/endless")


@pytest.mark.parametrize("path", ["silent", "dripping"])
def test_a_server_that_is_too_slow_is_left(site, monkeypatch, path):
    monkeypatch.setattr(download, "SECONDS", 0.2)

    with pytest.raises(DeepmarkError, match=rf"/{path}: no answer within 0\.2 seconds\. Check the address and the net"):
        read_image(f"{site}/{path}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1/x.jpg", "the server does not accept connections. Check the address, or try again later."),
        ("http://no-such-host.invalid/x.jpg", "there is no host of this name, or no network. Check both."),
        ("http:///x.jpg", "it cannot be downloaded (no host given). Check the address and the network."),
        (
            "http://host:port/x.jpg",
            "it cannot be downloaded (nonnumeric port: 'port'). Check the address and the network.",
        ),
        ("ftp://host/x.jpg", "only http and https are read. Download the image, and give its path."),
        ("s3://bucket/x.jpg", "only http and https are read. Download the image, and give its path."),
        ("file:///etc/hostname", "only http and https are read. Download the image, and give its path."),
    ],
)
def test_a_url_that_cannot_be_read_says_why(url, message):
    with pytest.raises(DeepmarkError) as error:
        read_image(url)
    assert str(error.value) == f"{url}: {message}"


def test_the_message_shows_no_signature_of_a_url(site):
    with pytest.raises(DeepmarkError, match=r"/none\?signature=\*\*\*: the server answers 404"):
        read_image(f"{site}/none?signature=secret")


@pytest.mark.parametrize("path", ["photo.jpg", "C:\\photo.jpg", "a/b://c", "/x"])
def test_a_path_is_no_url(path):
    assert not is_url(path)
