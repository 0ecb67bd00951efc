"""Renders layers of triangles with OpenGL, without a screen: colours, and at every pixel what is seen and how far away.

Needs EGL (Debian: libegl1, libgl1-mesa-dri); Mesa's llvmpipe does it on a processor.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from deepmark.shapes import Bool, Float, Float32, Int, UInt8
from deepmark.synthetic.rendered.context import opengl_context
from deepmark.synthetic.rendered.light import Light, lamp_view
from deepmark.synthetic.rendered.occlusion import near_seen
from deepmark.synthetic.rendered.shaders import FRAGMENT, IDENTITY_FRAGMENT, SHADOW_FRAGMENT, VERTEX
from deepmark.synthetic.rendered.wrinkles import wrinkle_tile

Size = tuple[int, int]

_LARGEST: Size = (720, 560)
"""Height and width of the buffers."""

_SAMPLES = 4
_SHADOW = 512
_ALPHA_TO_COVERAGE, _ALPHA_TO_ONE = 0x809E, 0x809F
"""Names of OpenGL that moderngl has no name for."""

ATTRIBUTES = (
    ("in_position", 3),
    ("in_normal", 3),
    ("in_inside", 3),
    ("in_inside_too", 3),
    ("in_around", 2),
    ("in_along", 2),
    ("in_tint", 3),
)
"""Of a vertex, with their numbers of values: world; world; metres inside the six edges of `Cut.inside`; direction
around the axis; metres along it and the radius there; a factor of the colour."""

INSIDE = slice(6, 12)
"""Columns of the metres inside the edges."""

COLUMNS = sum(count for _, count in ATTRIBUTES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """How a surface looks."""

    tile: UInt8[np.ndarray, "t t 3"]
    repeat: float = 0.38
    """Metres that the tile covers."""

    bump: float = 0.0
    """Height of the wrinkles, metres."""

    wrinkle: float = 0.3
    """Metres that the tile of wrinkles covers."""

    gloss: float = 0.0
    hem: float = 0.0
    """Metres between an edge and its stitches; 0 for none."""

    seam: float = 0.0
    """How much darker side seams are, 0..1."""

    buttons: float = 0.0
    button: float = 0.5
    """Metres between the buttons of a row down the front, 0 for none; and their brightness, 0..1."""

    closed: bool = False
    """Whether nobody sees the inner side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A surface to render."""

    number: int
    """What it is, 1..255, in `Rendered.numbers`; surfaces may share a number."""

    vertices: Float32[np.ndarray, "n c"]
    """See ATTRIBUTES."""

    triangles: Int[np.ndarray, "t 3"]
    material: Material


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """An image without its background."""

    color: UInt8[np.ndarray, "h w 4"]
    """Premultiplied by the alpha."""

    numbers: UInt8[np.ndarray, "h w"]
    """The number of the layer at the middle of every pixel; 0 for none."""

    depth: Float32[np.ndarray, "h w"]
    """How far away it is along the view, metres."""


class Renderer:
    """One OpenGL context, its programs and its buffers."""

    def __init__(self) -> None:
        self._gl = opengl_context()
        self._programs = {
            name: self._gl.program(vertex_shader=VERTEX, fragment_shader=fragment)
            for name, fragment in (("color", FRAGMENT), ("identity", IDENTITY_FRAGMENT), ("shadow", SHADOW_FRAGMENT))
        }
        self._shadow_map = self._gl.depth_texture((_SHADOW, _SHADOW))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow = self._gl.framebuffer(depth_attachment=self._shadow_map)
        shape = _LARGEST[::-1]
        self._many = self._gl.framebuffer(
            [self._gl.renderbuffer(shape, samples=_SAMPLES)], self._gl.depth_renderbuffer(shape, samples=_SAMPLES)
        )
        self._one = self._gl.framebuffer([self._gl.renderbuffer(shape)])
        self._plain = self._gl.framebuffer([self._gl.texture(shape, 2, dtype="f4")], self._gl.depth_renderbuffer(shape))
        self._mask = self._gl.framebuffer([self._gl.renderbuffer(shape, 1)])
        self._wrinkles = self._texture(wrinkle_tile())
        self._wrinkles.filter = (self._gl.LINEAR, self._gl.LINEAR)  # smooth: no smaller versions are needed

    @property
    def name(self) -> str:
        """What OpenGL is rendered by, such as "llvmpipe (LLVM 15.0.6, 256 bits), 4.5 (Core Profile) Mesa 22.3.6"."""
        return f"{self._gl.info['GL_RENDERER']}, {self._gl.info['GL_VERSION']}"

    def render(self, layers: list[Layer], camera: Float[np.ndarray, "4 4"], light: Light, size: Size) -> Rendered:
        """Everything as a camera sees it; `camera` takes world coordinates to OpenGL's clip coordinates."""
        with self._meshes(layers, size) as meshes:
            towards_lamp = lamp_view(light.towards, np.concatenate([layer.vertices[:, :3] for layer in layers]))
            self._shadow.use()
            self._shadow.clear(depth=1.0)
            self._draw(meshes, "shadow", camera=towards_lamp)
            triangle, depth = self._identity(meshes, camera, size)
            numbers = np.concatenate([[0], *(mesh.numbers for mesh in meshes)]).astype(np.uint8)
            seen = np.zeros(len(numbers), bool)
            seen[triangle] = True
            for mesh in meshes:
                mesh.leave_out_hidden(seen)
            color = self._color(meshes, camera, towards_lamp, light, size)
        return Rendered(color=color, numbers=numbers[triangle], depth=depth)

    def silhouette(self, layers: list[Layer], camera: Float[np.ndarray, "4 4"], size: Size) -> Bool[np.ndarray, "h w"]:
        """Where the layers would be seen if nothing else were there."""
        area = (0, 0, size[1], size[0])
        with self._meshes(layers, size) as meshes:
            self._mask.viewport = area
            self._mask.use()
            self._mask.clear()
            self._draw(meshes, "identity", camera=camera)
            data = np.frombuffer(self._mask.read(area, components=1, dtype="f1"), np.uint8)
        return data.reshape(*size)[::-1] > 0

    @contextmanager
    def _meshes(self, layers: list[Layer], size: Size) -> Iterator[list["_Mesh"]]:
        """The layers in buffers of OpenGL."""
        assert size[0] <= _LARGEST[0], size
        assert size[1] <= _LARGEST[1], size
        layers = [layer for layer in layers if len(layer.triangles)]
        firsts = np.cumsum([1, *(len(layer.triangles) for layer in layers)]).tolist()
        meshes = [
            _Mesh(self._gl, layer, self._texture(layer.material.tile), first)
            for layer, first in zip(layers, firsts, strict=False)
        ]
        try:
            yield meshes
        finally:
            for mesh in meshes:
                mesh.release()

    def _color(
        self, meshes: list["_Mesh"], camera: np.ndarray, towards_lamp: np.ndarray, light: Light, size: Size
    ) -> UInt8[np.ndarray, "h w 4"]:
        gl = self._gl
        area = (0, 0, size[1], size[0])
        self._many.viewport = area
        self._many.use()
        self._many.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        gl.enable_direct(_ALPHA_TO_COVERAGE)
        gl.enable_direct(_ALPHA_TO_ONE)
        self._shadow_map.use(2)
        program = self._programs["color"]
        program["shadow_camera"].write(_columns(towards_lamp))
        for name, value in (("lamp", light.color), ("sky", light.sky), ("ground", light.ground)):
            program[name].value = value
        program["towards"].value = tuple(float(one) for one in light.towards)
        self._draw(meshes, "color", camera=camera)
        gl.disable_direct(_ALPHA_TO_COVERAGE)
        gl.disable_direct(_ALPHA_TO_ONE)
        gl.copy_framebuffer(self._one, self._many)
        data = np.frombuffer(self._one.read(area, components=4, dtype="f1"), np.uint8)
        return data.reshape(*size, 4)[::-1]

    def _identity(
        self, meshes: list["_Mesh"], camera: np.ndarray, size: Size
    ) -> tuple[Int[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
        """The triangle that is seen at every pixel, counted from 1 over all layers, or 0; and how far away it is."""
        area = (0, 0, size[1], size[0])
        self._plain.viewport = area
        self._plain.use()
        self._plain.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        self._draw(meshes, "identity", camera=camera)
        data = np.frombuffer(self._plain.read(area, components=2, dtype="f4"), np.float32)
        found = data.reshape(*size, 2)[::-1]
        return found[..., 0].astype(np.int32), found[..., 1]

    def _draw(self, meshes: list["_Mesh"], name: str, *, camera: np.ndarray) -> None:
        self._gl.enable(self._gl.DEPTH_TEST)
        program = self._programs[name]
        program["camera"].write(_columns(camera))
        for mesh in meshes:
            mesh.draw(program, name, self._wrinkles)

    def _texture(self, tile: np.ndarray) -> Any:
        texture = self._gl.texture(tile.shape[:2][::-1], tile.shape[2] if tile.ndim == 3 else 1, tile.tobytes())
        texture.build_mipmaps()
        texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        return texture


class _Mesh:
    """The buffers of a layer while an image is rendered."""

    def __init__(self, gl: Any, layer: Layer, texture: Any, first: int) -> None:
        self._gl, self._layer, self._texture, self._first = gl, layer, texture, first
        self._vertices = gl.buffer(np.ascontiguousarray(layer.vertices, np.float32))
        self._triangles = gl.buffer(np.ascontiguousarray(layer.triangles, np.int32))
        self._arrays: list[Any] = []

    @property
    def numbers(self) -> Int[np.ndarray, " t"]:
        """The number of the layer, for each of its triangles."""
        return np.full(len(self._layer.triangles), self._layer.number)

    def leave_out_hidden(self, seen: Bool[np.ndarray, " n"]) -> None:
        """Draw no more what lies behind others; `seen` is of the triangles of all layers, the first of which is 1."""
        own = seen[self._first : self._first + len(self._layer.triangles)]
        triangles = near_seen(self._layer.triangles, own)
        self._triangles.release()
        self._triangles = self._gl.buffer(np.ascontiguousarray(triangles, np.int32)) if len(triangles) else None

    def draw(self, program: Any, name: str, wrinkles: Any) -> None:
        if self._triangles is None:
            return
        used = [(key, count) for key, count in ATTRIBUTES if key in program]
        layout = " ".join(f"{count}f" if key in program else f"{4 * count}x" for key, count in ATTRIBUTES)
        array = self._gl.vertex_array(program, [(self._vertices, layout, *(key for key, _ in used))], self._triangles)
        self._arrays.append(array)
        material = self._layer.material
        if name == "color":
            self._texture.use(0)
            wrinkles.use(1)
            program["cloth"].value, program["wrinkles"].value, program["shadow_map"].value = 0, 1, 2
            for key in ("repeat", "bump", "wrinkle", "gloss", "hem", "seam", "buttons", "button"):
                program[key].value = getattr(material, key)
        if name == "identity":
            program["first"].value = float(self._first)
        if material.closed and name != "shadow":
            self._gl.enable(self._gl.CULL_FACE)
        array.render()
        self._gl.disable(self._gl.CULL_FACE)

    def release(self) -> None:
        for one in (*self._arrays, self._vertices, self._triangles, self._texture):
            if one is not None:
                one.release()


def _columns(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()


@cache
def load_renderer() -> Renderer:
    """The renderer of this process."""
    return Renderer()
