"""Arrays in annotations, with the type of their numbers and their shape: `UInt8[np.ndarray, "h w 3"]`.

They are those of jaxtyping for type checkers, and where something has imported it to check them, as the tests do. Else
they stand for the plain array: importing jaxtyping would take a quarter of the time to a first detection.
"""

import sys
from typing import TYPE_CHECKING, Any

__all__ = [
    "Bool",
    "Complex",
    "Float",
    "Float32",
    "Float64",
    "Int",
    "Int8",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt64",
]

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Complex, Float, Float32, Float64, Int, Int8, Int32, Int64, UInt8, UInt16, UInt64
else:

    class _Plain:
        """Gives the array type of `Name[array, "shape"]`."""

        def __getitem__(self, array_and_shape: tuple[Any, str]) -> Any:
            return array_and_shape[0]

    Bool = Complex = Float = Float32 = Float64 = Int = Int8 = Int32 = Int64 = UInt8 = UInt16 = UInt64 = _Plain()
