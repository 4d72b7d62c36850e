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


def size_text(shape: DrawnShape, image: ImageInfo | None) -> str:
    """How long or large a shape is: "12.4 µm  (38.2 px)", "40 × 30 px"; of a point, where it is."""
    if shape.kind is ShapeKind.POINT:
        return f"x {int(shape.a.x)}  y {int(shape.a.y)}"
    um = um_of(image)
    if shape.kind.is_line:
        px = f"{shape.line.length_px:.1f} px"
        return px if um is None else f"{_um(shape.line.length_um(*um))}  ({px})"
    if image is None:
        return ""
    box = box_of(shape.a, shape.b, image.height, image.width)
    if box is None:
        return "outside the picture"
    px = f"{box.width} × {box.height} px"
    return px if um is None else f"{box.width * um[1]:.4g} × {box.height * um[0]:.4g} µm  ({px})"


def _um(um: float) -> str:
    if um >= 1000:
        return f"{um / 1000:.4g} mm"
    return f"{um:.4g} µm" if um >= 1 else f"{um * 1000:.3g} nm"
