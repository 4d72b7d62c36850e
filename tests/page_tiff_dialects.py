"""TIFFs by tifffile, and pages of which nothing is said, with the pixels that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import tifffile
from tiff_cases import HEIGHT, WIDTH, WRITERS, Expected, Written, dialect, image, pages, plane, write_pages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# ---- arrays by tifffile ----------------------------------------------------------------------------


def shaped(axes: str, sizes: dict[str, int], dtype: Any = "u2") -> tuple[np.ndarray, np.ndarray]:
    """An array with these axes, and the same as (T, C, Z, Y, X)."""
    n = {"T": 1, "C": 1, "Z": 1, "Y": HEIGHT, "X": WIDTH, **sizes}
    pixels = image(n["T"], n["C"], n["Z"], shape=(n["Y"], n["X"]), dtype=dtype)
    order = ["TCZYX".index(axis) for axis in axes]
    left = [i for i in range(5) if i not in order]
    return pixels.transpose(*left, *order).reshape([n[axis] for axis in axes]), pixels


def _shaped_case(
    axes: str, sizes: dict[str, int], dtype: Any = "u2", **more: Any
) -> Callable[[Path], Written]:
    def write(folder: Path) -> Written:
        array, pixels = shaped(axes, sizes, dtype)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "a.tif"
        tifffile.imwrite(path, array, metadata={"axes": axes}, **more)
        return Written([path], Expected([pixels]))

    return write


for _axes, _sizes, _dtype, _more in (
    ("CYX", {"C": 3}, "u1", {"photometric": "rgb", "planarconfig": "separate"}),
    ("CYX", {"C": 4}, "u2", {"photometric": "rgb", "planarconfig": "separate"}),
    ("ZYX", {"Z": 3}, "u2", {"photometric": "rgb", "planarconfig": "separate"}),
    ("TYX", {"T": 4}, "u1", {"photometric": "rgb", "planarconfig": "separate"}),
    ("ZCYX", {"Z": 2, "C": 3}, "u1", {"photometric": "rgb", "planarconfig": "separate"}),
    ("TZCYX", {"T": 2, "Z": 2, "C": 4}, "u2", {"photometric": "rgb", "planarconfig": "separate"}),
    ("YXC", {"C": 2}, "u2", {"photometric": "minisblack"}),
    ("YXZ", {"Z": 5}, "u1", {"photometric": "minisblack"}),
    ("YXT", {"T": 7}, "u2", {"photometric": "minisblack", "compression": "zlib"}),
    ("ZYXC", {"Z": 3, "C": 2}, "u2", {"photometric": "minisblack"}),
    ("XYZ", {"Z": 3}, "u2", {"photometric": "minisblack"}),
    ("TCZYX", {"T": 2, "C": 3, "Z": 2}, "u2", {"photometric": "minisblack"}),
    ("CTYX", {"T": 2, "C": 3}, "u2", {"photometric": "minisblack", "compression": "zlib"}),
    ("YXC", {"C": 5}, "u1", {"photometric": "minisblack", "planarconfig": "contig"}),
    ("CYX", {"C": 2}, "u1", {"photometric": "minisblack", "planarconfig": "separate"}),
):
    _name = f"shaped_{_axes}_{'_'.join(map(str, _sizes.values()))}"
    if _name in WRITERS or _more.get("planarconfig") == "contig":
        _name += "_samples"
    _case = _shaped_case(_axes, _sizes, _dtype, **_more)
    _case.__name__ = _name
    _stored = "one page of separate samples" if _more.get("planarconfig") == "separate" else "pages"
    _stored = "interleaved samples" if _more.get("planarconfig") == "contig" else _stored
    _case.__doc__ = (
        f"tifffile: an array with axes {_axes} and {' × '.join(map(str, _sizes.values()))} planes, {_stored}."
    )
    dialect(_case)


@dialect
def several_arrays(folder: Path) -> Written:
    """tifffile: three arrays of other shapes in one file are positions; a thumbnail comes last."""
    shapes = [(6, 8), (HEIGHT, WIDTH), (30, 40)]
    pixels = [image(n_z=1 if p == 0 else 3, p=p, shape=shape) for p, shape in enumerate(shapes)]
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for p, each in enumerate(pixels):
            file.write(each[0, 0], photometric="minisblack", metadata={"axes": "ZYX", "name": f"n{p}"})
    return Written([folder / "a.tif"], Expected([*pixels[1:], pixels[0]], ["n1", "n2", "n0"]))


# ---- pages that nothing is said about ---------------------------------------------------------------


@dialect
def pages_of_two_sizes(folder: Path) -> Written:
    """Plain TIFF: pages of another size in between are an image of their own."""
    large = image(n_z=4)
    small = image(n_z=2, p=1, shape=(20, 30))
    order = [large[0, 0, 0], small[0, 0, 0], large[0, 0, 1], large[0, 0, 2], small[0, 0, 1], large[0, 0, 3]]
    return Written([write_pages(folder / "a.tif", order)], Expected([large, small]))


@dialect
def grey_samples(folder: Path) -> Written:
    """Plain TIFF: five grey samples of each pixel are five channels."""
    pixels = image(1, 5, dtype="u1")
    stored = np.ascontiguousarray(np.moveaxis(pixels[0, :, 0], 0, -1))
    path = write_pages(folder / "a.tif", [stored], planarconfig="contig", extrasamples=[0] * 4)
    return Written([path], Expected([pixels]))


@dialect
def two_samples(folder: Path) -> Written:
    """Plain TIFF: of two samples, neither is lost."""
    pixels = image(1, 2)
    stored = np.ascontiguousarray(np.moveaxis(pixels[0, :, 0], 0, -1))
    path = write_pages(folder / "a.tif", [stored], planarconfig="contig", extrasamples=[0])
    return Written([path], Expected([pixels]))


@dialect
def palette(folder: Path) -> Written:
    """Plain TIFF: indices into a palette are shown in its colours."""
    table = np.random.default_rng(3).integers(0, 2**16, (3, 256), np.uint16)
    indices = plane(dtype="u1")
    path = write_pages(folder / "a.tif", [indices], photometric="palette", colormap=table)
    colours = (table >> 8).astype("u1").T[indices]
    return Written([path], Expected([np.moveaxis(colours, -1, 0)[None, :, None]]))


@dialect
def cmyk(folder: Path) -> Written:
    """Plain TIFF: CMYK becomes red, green and blue."""
    inks = np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    path = write_pages(folder / "a.tif", [inks], photometric="separated", planarconfig="contig")
    left = (255 - inks.astype(float)) / 255
    colours = np.rint(left[..., :3] * left[..., 3:] * 255).astype("u1")
    return Written([path], Expected([np.moveaxis(colours, -1, 0)[None, :, None]]))


@dialect
def luma_and_colour_differences(folder: Path) -> Written:
    """Plain TIFF: YCbCr, compressed without knowing of it, is red, green and blue."""
    colours = np.stack([plane(c=c, dtype="u1") for c in range(3)], axis=-1)
    stored = PIL.Image.fromarray(colours).convert("YCbCr")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "a.tif"
    stored.save(path)
    y, b, r = np.moveaxis(np.array(stored).astype(float), -1, 0)
    red, blue = y + 1.402 * (r - 128), y + 1.772 * (b - 128)
    shown = np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue])
    return Written([path], Expected([np.rint(shown).clip(0, 255).astype("u1")[None, :, None]]))


@dialect
def rgb_alpha(folder: Path) -> Written:
    """Plain TIFF: RGBA is three colours."""
    colours = np.stack([plane(c=c, dtype="u1") for c in range(4)], axis=-1)
    path = write_pages(folder / "a.tif", [colours], photometric="rgb", extrasamples=["unassalpha"])
    return Written([path], Expected([np.moveaxis(colours[..., :3], -1, 0)[None, :, None]]))


@dialect
def named_png(folder: Path) -> Written:
    """Any name: a TIFF is recognised by its beginning (`.png`, none, `.btf`, `.lsm`, `.stk`, `.svs`, …)."""
    pixels = image(n_z=3)
    paths = [
        write_pages(folder / f"a{end}", pages(pixels))
        for end in (".png", "", ".btf", ".tf8", ".svs", ".scn", ".flex", ".qptiff", ".stk", ".lsm")
    ]
    return Written(paths, Expected([pixels]), serve=False)


@dialect
def pyramid_of_pages(folder: Path) -> Written:
    """Plain TIFF: pages that say they are smaller versions are levels, not positions."""
    pixels = image(shape=(64, 80))
    path = folder / "a.tif"
    folder.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for level in range(3):
            file.write(
                pixels[0, 0, 0, :: 2**level, :: 2**level],
                subfiletype=1 if level else 0,
                metadata=None,
                photometric="minisblack",
            )
    return Written([path], Expected([pixels]))
