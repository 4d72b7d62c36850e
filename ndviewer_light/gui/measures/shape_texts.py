"""What is said of a shape in words. Pure; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.shapes import box_of
from .drawn_shapes import ShapeKind

if TYPE_CHECKING:
    from ...model import ImageInfo
    from .drawn_shapes import DrawnShape


def um_of(image: ImageInfo | None) -> tuple[float, float] | None:
    """µm per pixel along y and x; None if that is not known."""
    if image is None or image.pixel_size_um is None:
        return None
    return image.pixel_size_y_um or image.pixel_size_um, image.pixel_size_x_um or image.pixel_size_um


def size_texts(shape: DrawnShape, image: ImageInfo | None) -> list[str]:
    """How long or large a shape is: "12.4 µm  (38.2 px)", "40 × 30 px"; of a point, where it is.

    And at last the same in as few words as can be.
    """
    if shape.kind is ShapeKind.POINT:
        return [f"x {int(shape.a.x)}  y {int(shape.a.y)}"]
    um = um_of(image)
    if shape.kind.is_line:
        px = f"{shape.line.length_px:.1f} px"
        return _in_units(None if um is None else _um(shape.line.length_um(*um)), px)
    if image is None:
        return [""]
    box = box_of(shape.a, shape.b, image.height, image.width)
    if box is None:
        return ["outside the picture"]
    px = f"{box.width} × {box.height} px"
    return _in_units(None if um is None else _um(box.width * um[1], box.height * um[0]), px)


def _in_units(um: str | None, px: str) -> list[str]:
    return [px] if um is None else [f"{um}  ({px})", um]


def _um(*lengths: float) -> str:
    """Lengths in the unit of the largest, as many digits of each: they stay as wide while a shape is drawn.

    >>> _um(12.3, 4.04), _um(1200.0), _um(0.25)
    ('12.30 × 4.04 µm', '1.20 mm', '250 nm')
    """
    longest = max(lengths)
    factor, unit = (1e-3, "mm") if longest >= 1000 else (1.0, "µm") if longest >= 1 else (1e3, "nm")
    digits = 0 if unit == "nm" else 2 if longest * factor < 100 else 1
    return " × ".join(f"{length * factor:.{digits}f}" for length in lengths) + f" {unit}"
