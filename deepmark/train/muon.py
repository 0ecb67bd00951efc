"""Muon: the changes of the network's matrices are made orthogonal; all other weights learn by AdamW."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from deepmark.model.backbones.deform import DeformConv2d
from deepmark.model.heads import Head
from deepmark.shapes import Float

MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial that drives singular values towards 1. Source: Jordan, as below."""

_ITERATIONS = 5
_ADAM_RMS = 0.2
"""Root mean square of Adam's change of a weight, in learning rates, so that one learning rate suits both.

Source: Liu et al., as below.
"""


class Muon(torch.optim.AdamW):
    """AdamW in which the groups with `orthogonal` change along momentum whose singular values are all about 1.

    Of a convolution's weight the rows are its output channels. Sources: Jordan, "Muon: an optimizer for hidden layers
    in neural networks", 2024; Liu et al., "Muon is scalable for LLM training", 2025, section 2.2.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, fused: bool) -> None:
        super().__init__(groups, lr=lr, fused=fused)

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Change all weights that have a gradient, where `found_inf` is not set, or 0.

        That is a tensor on their device, as fused optimisers of torch take it.
        """
        everything = self.param_groups
        self.param_groups = [group for group in everything if not group.get("orthogonal")]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = everything
        for group in everything:
            if group.get("orthogonal"):
                self._change(group)
        return loss

    @torch.no_grad()
    def _change(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        apply = torch.as_tensor(getattr(self, "found_inf", 0) == 0, device=group["params"][0].device).double()
        new, kept = ((1 - MOMENTUM) * apply).float(), (1 - apply * (group["lr"] * group["weight_decay"])).float()
        for weight in weights:
            state = self.state[weight]
            if not state:
                state.update(step=torch.zeros((), device=weight.device), momentum=torch.zeros_like(weight))
            state["step"] += apply  # only because AdamW, which loads the state, expects it
            gradient = weight.grad.nan_to_num_(0, 0, 0)  # where one is not finite nothing is applied
            momentum = state["momentum"].lerp_(gradient, new)
            matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)  # Nesterov's momentum
            scale = group["lr"] * _ADAM_RMS * max(matrix.shape) ** 0.5
            weight.mul_(kept)
            weight.sub_(orthogonalized(matrix).mul_(apply).view(weight.shape), alpha=scale)


def orthogonalized(matrix: Float[Tensor, "m n"]) -> Float[Tensor, "m n"]:
    """The matrix with its singular values moved to about 0.7 to 1.2, by five Newton-Schulz iterations; 0 stays 0.

    An iteration multiplies from the left by a polynomial of the Gram matrix, so all are done on that alone, whose side
    is the shorter one of the matrix, and the matrix is multiplied once by their product.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=1e-30)  # so that no singular value is above 1
    gram = x @ x.T
    product = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(_ITERATIONS):
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        product, gram = polynomial @ product, polynomial @ gram @ polynomial
    x = product @ x
    return x.T if is_tall else x


def hidden_matrices(detector: nn.Module) -> list[Tensor]:
    """The weights of the convolutions that read and write features.

    Those that read pixels or write maps or offsets are left to AdamW, and so are those that treat each channel by
    itself, which are no matrices. Source: Jordan, as above.
    """
    outer = {head.convolutions[1] for head in detector.modules() if isinstance(head, Head)}
    outer |= {layer.conv_offset_mask for layer in detector.modules() if isinstance(layer, DeformConv2d)}
    return [
        layer.weight
        for layer in detector.modules()
        if isinstance(layer, (nn.Conv2d, DeformConv2d)) and layer not in outer and layer.weight.shape[1] > 3
    ]
