"""Starts OpenGL without a screen."""

import os
from typing import Any

from deepmark.errors import DeepmarkError


def opengl_context() -> Any:
    """An OpenGL context without a window.

    Raises DeepmarkError where EGL is missing.
    """
    import moderngl

    os.environ.setdefault("LP_NUM_THREADS", "0")  # llvmpipe in the calling thread: the engine uses the other cores
    options: dict[str, Any] = {"backend": "egl"}
    try:
        return moderngl.create_context(standalone=True, **options)
    except Exception as error:  # glcontext raises Exception itself
        raise DeepmarkError(
            f"OpenGL without a screen does not start ({error}). Install EGL and a renderer: on Debian or Ubuntu "
            "`apt-get install libegl1 libgl1-mesa-dri`."
        ) from error
