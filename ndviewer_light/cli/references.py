"""``ndviewer-light references PATH -o refs.json``: existing image files as one virtual Zarr store.

Nothing is copied: the file lists which bytes of which image are which chunk (kerchunk JSON, version 1), so
that this viewer, fsspec and zarr-python read the images as an array ``0`` with OME metadata. Its axes are
(p) t c z y x, those of colour images (p) t z y x c; further pyramid levels are ``1``, ``2``, ….
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..errors import (
    DatasetError,
    NDViewerError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ..model import PlaneKey
from ..sources.images.format import ImagesFormat
from ..sources.registry import FORMAT, open_source
from ..storage.bytes import is_url
from ..storage.decoding.tiff_pages import Extent
from ..storage.whole_files import whole_file
from .access_options import storage_options
from .command_parser import CommandParser
from .linked_view import dataset_in
from .terminal import complain, guarded, is_within, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from ..sources.images.source import ImagesSource
    from ..storage.decoding.tiff_pages import Parts


class Reference(NamedTuple):
    """One chunk: its grid index, its file, and offset and length there (None: the whole file)."""

    at: tuple[int, ...]
    name: str
    offset: int = 0
    length: int | None = None


_BEGINNING = b'{\n"version": 1,\n"templates": '
"""Of every file that is written here."""
_SAMPLES = "rgb"
"""The axis of colour samples where there is one of channels as well."""
_PICTURES = {
    **{".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".bmp": "bmp"},
    **dict.fromkeys((".jp2", ".j2k", ".j2c"), "jpeg2k"),
}
_COMPRESSORS = {
    **{1: None, 8: "zlib", 32946: "zlib", 5: "imagecodecs_lzw", 32773: "imagecodecs_packbits"},
    50000: "imagecodecs_zstd",
}
_PREDICTORS = {1: None, 2: "imagecodecs_delta", 3: "imagecodecs_floatpred"}


@dataclass(frozen=True)
class _ChunkEncoding:
    """How all chunks of an array are stored: shape (Y, X[, S]), dtype, codecs; whether as whole files."""

    chunk: tuple[int, ...]
    dtype: str
    compressor: Mapping[str, Any] | None = None
    filters: tuple[Mapping[str, Any], ...] = ()
    is_whole: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns 0 if the file was written, else prints the reason and returns 1."""
    return guarded("references", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.path, storage = dataset_in(options.path), storage_options(options)
    except ValueError as error:
        parser.error(str(error))
    _check_output(parser, options.output, options.path)
    text = io.StringIO()
    try:
        said = write_references(options.path, text, storage, options.root)
    except NDViewerError as error:
        complain("references", str(error))
        return 1
    try:
        with whole_file(options.output) as part, open(part, "w", encoding="utf-8") as file:
            file.write(text.getvalue())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        complain("references", f"cannot write {options.output}: {reason}")
        return 1
    for line in said:
        complain("references", line)
    say(f"wrote {options.output}{_hint(options.path, options.output, options.root)}")
    return 0


def _check_output(parser: CommandParser, output: str, path: str) -> None:
    """End the program for a file that would replace an image, or something else of the folder of images."""
    if os.path.isdir(output) or not output:
        parser.error(f"-o {output}: expected the name of a file, and this is a folder")
    if os.path.isfile(output) and is_within(output, path) and not _is_written_by_this(output):
        parser.error(f"-o {output}: is a file of the dataset, which is never written to; choose another name")


def _is_written_by_this(file: str) -> bool:
    try:
        with open(file, "rb") as opened:
            return opened.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="ndviewer-light references",
        description="Write existing images (a folder of TIFF, PNG, JPEG, BMP or JPEG 2000, one TIFF, URLs) "
        "as one virtual Zarr store, without copying them.",
        epilog="The file is kerchunk JSON, version 1. Other programs open it with fsspec's 'reference' file "
        "system and zarr; for compressed images they need imagecodecs.numcodecs.register_codecs().",
    )
    parser.add_argument("path", help="a folder of images, an image, or URLs: https://host/img_{t:0..99}.png")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the reference file to write")
    parser.add_argument(
        "--pattern", metavar="PATTERN", help="how the files are named, for example img_t{t:d}_c{c}_z{z:d}.png"
    )
    parser.add_argument(
        "--root",
        metavar="PATH_OR_URL",
        default="",
        help="where the images will be when the references are read (default: where they are now)",
    )
    parser.add_argument(
        "--storage-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="access option for the server of the images; may be repeated",
    )
    parser.add_argument(
        "--follow-links",
        action="store_true",
        help="follow symbolic links that lead out of the folder (only if you trust it)",
    )
    return parser


def write_references(
    path: str, file: TextIO, options: Mapping[str, str] | None = None, root: str = ""
) -> list[str]:
    """Write the references of the images at `path` into `file`; returns warnings for the user.

    `root` is where the images will be when the references are read (default: where they are now). Every TIFF
    is opened. Raises `UnsupportedError` if the images cannot form one array, another `DatasetError` for those
    that cannot be read.
    """
    source = cast("ImagesSource", open_source(path, {FORMAT: ImagesFormat.name, **(options or {})}))
    try:
        return _write(source, file, root.rstrip("/") or source.root.replace(os.sep, "/").rstrip("/"))
    finally:
        source.close()


def _write(source: ImagesSource, file: TextIO, root: str) -> list[str]:
    info, said = source.info, list(source.info.warnings)
    levels = range(info.n_levels)
    stored = [_stored_of_first(source, level) for level in levels]
    found = [list(_references(source, level, stored[level], said)) for level in levels]
    shapes = [_shape(source, level, stored[level]) for level in levels]
    # other readers expand templates with str.format
    has_braces = any("{" in each.name or "}" in each.name for level in found for each in level)
    templates, prefix = ({}, root) if has_braces else ({"root": root}, "{{root}}")
    entries: dict[str, Any] = {
        ".zgroup": json.dumps({"zarr_format": 2}),
        ".zattrs": json.dumps(_attributes(source, shapes)),
    }
    for level in levels:
        entries[f"{level}/.zarray"] = json.dumps(_array(stored[level], shapes[level]))
        entries[f"{level}/.zattrs"] = json.dumps({"_ARRAY_DIMENSIONS": _axes(source)})
        for each in found[level]:
            where = f"{prefix}/{each.name}"
            key = f"{level}/{'.'.join(map(str, each.at))}"
            entries[key] = [where] if each.length is None else [where, each.offset, each.length]
    # begins with `_BEGINNING`
    json.dump({"version": 1, "templates": templates, "refs": entries}, file, indent=0)
    file.write("\n")
    return said


# ---- how chunks are stored -----------------------------------------------------------------


def _stored_of_first(source: ImagesSource, level: int) -> _ChunkEncoding:
    for _, place in _places(source):
        with contextlib.suppress(PlaneNotStoredError):
            return _stored(source, *place, level)
    raise UnsupportedError(f"{source.root} contains no readable image")


def _stored(source: ImagesSource, path: str, page: int, level: int) -> _ChunkEncoding:
    found = source.files.stored(path, page, level)
    picture = source.files.picture(path, page, level)
    if isinstance(found, Extent):
        return _ChunkEncoding(found.picture.shape, found.dtype.str)
    if found is None:
        end = os.path.splitext(path.partition("?")[0] if is_url(path) else path)[1]
        if end.lower() not in _PICTURES or page:
            raise UnsupportedError(
                f"{path}: references can describe pictures whose names end in {', '.join(_PICTURES)}, one in "
                "each file"
            )
        codec = {"id": f"imagecodecs_{_PICTURES[end.lower()]}"}
        return _ChunkEncoding(picture.shape, picture.dtype.str, codec, is_whole=True)
    return _stored_in_parts(found, picture.shape, path)


def _stored_in_parts(parts: Parts, shape: tuple[int, ...], path: str) -> _ChunkEncoding:
    compressor, predictor = _COMPRESSORS.get(parts.compression, ""), _PREDICTORS.get(parts.predictor, "")
    # the last strip may have fewer rows; tiles are always full
    is_even = shape[0] % parts.shape[0] == 0 or parts.shape[1] != shape[1] or len(parts.places) == 1
    if compressor == "" or predictor == "" or parts.is_planar or not is_even:
        raise UnsupportedError(
            f"{path} is compressed or tiled in a way that references cannot describe (compression "
            f"{parts.compression}, predictor {parts.predictor}, tiles of {parts.shape} in an image of "
            f"{shape} pixels)"
        )
    filters: list[dict[str, Any]] = []
    if predictor:
        axis = -2 if len(parts.shape) > 2 else -1
        shape_and_type = {"shape": list(parts.shape), "dtype": parts.dtype.str}
        filters = [{"id": predictor, **shape_and_type, "axis": axis, "dist": 1}]
    return _ChunkEncoding(
        parts.shape, parts.dtype.str, {"id": compressor} if compressor else None, tuple(filters)
    )


# ---- which bytes -----------------------------------------------------------------------------


def _places(source: ImagesSource) -> Iterator[tuple[PlaneKey, tuple[str, int]]]:
    """All planes that have files; for colour images those of one channel, as a chunk contains all colours."""
    info = source.info
    each_c = range(0, len(info.channels), 3 if source.is_colour else 1)
    for at in itertools.product(range(info.n_t), range(len(info.positions)), each_c, range(info.n_z)):
        if (place := source.place(PlaneKey(*at))) is not None:
            yield PlaneKey(*at), place


def _references(
    source: ImagesSource, level: int, stored: _ChunkEncoding, said: list[str]
) -> Iterator[Reference]:
    axes = _axes(source)
    axes = axes[: axes.index("y")]
    for key, place in _places(source):
        acquired = key._replace(c=key.c // 3) if source.is_colour else key
        leading = tuple(getattr(acquired, axis) for axis in axes)
        name = place[0].removeprefix(source.root)
        try:
            for rows, columns, offset, length in _chunks(source, place, level, stored):
                at = (*leading, rows, columns, *([0] if source.is_colour else []))
                yield Reference(at, name, offset, length)
        except PlaneNotStoredError:
            continue
        except DatasetError as error:
            said.append(f"skipped: {error}")


def _chunks(
    source: ImagesSource, place: tuple[str, int], level: int, stored: _ChunkEncoding
) -> Iterator[tuple[int, int, int, int | None]]:
    """Row and column of each chunk of a plane, its offset and length."""
    if stored.is_whole and is_url(place[0]):  # checking that it exists would cost a request
        yield 0, 0, 0, None
        return
    if _stored(source, *place, level) != stored:
        raise UnsupportedError(f"{place[0]} differs from the other images in size or in how it is stored")
    found = source.files.stored(*place, level)
    if found is None:
        yield 0, 0, 0, None
    elif isinstance(found, Extent):
        yield 0, 0, found.offset, found.picture.nbytes
    else:
        n_columns = -(-source.files.picture(*place, level).width // stored.chunk[1])
        for i, (offset, length) in enumerate(found.places):
            if length:
                yield (*divmod(i, n_columns), offset, length)


# ---- metadata ----------------------------------------------------------------------------------


def _axes(source: ImagesSource) -> list[str]:
    """The axes of the array. Samples of colour pixels are its channels, or an axis beside several."""
    axes = ["p"] if len(source.info.positions) > 1 else []
    if not source.is_colour:
        return [*axes, *"tczyx"]
    return [*axes, *"tczyx", _SAMPLES] if len(source.info.channels) > 3 else [*axes, *"tzyxc"]


def _shape(source: ImagesSource, level: int, stored: _ChunkEncoding) -> list[int]:
    info = source.info
    picture = source.files.picture(*next(_places(source))[1], level)
    axes, n_c = _axes(source), len(info.channels)
    if source.is_colour:
        n_c = n_c // 3 if _SAMPLES in axes else picture.samples
    sizes = {"p": len(info.positions), "t": info.n_t, "c": n_c, "z": info.n_z, _SAMPLES: picture.samples}
    sizes |= {"y": picture.height, "x": picture.width}
    return [sizes[axis] for axis in axes]


def _array(stored: _ChunkEncoding, shape: list[int]) -> dict[str, Any]:
    return {
        "zarr_format": 2,
        "shape": shape,
        "chunks": [1] * (len(shape) - len(stored.chunk)) + list(stored.chunk),
        "dtype": stored.dtype,
        "compressor": stored.compressor,
        "filters": list(stored.filters) or None,
        "fill_value": 0,
        "order": "C",
        "dimension_separator": ".",
    }


def _attributes(source: ImagesSource, shapes: list[list[int]]) -> dict[str, Any]:
    """OME-NGFF 0.4 metadata, with a position axis and position names if there are several."""
    info, axes = source.info, _axes(source)
    kinds = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
    units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    steps = {"t": info.time_step_s, "z": info.z_step_um, "y": info.pixel_size_y_um, "x": info.pixel_size_x_um}
    datasets = []
    for level, shape in enumerate(shapes):
        ratios = [whole / part for whole, part in zip(shapes[0], shape, strict=True)]
        scale = [(steps.get(axis) or 1.0) * ratio for axis, ratio in zip(axes, ratios, strict=True)]
        transform = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": transform})
    described = [
        {
            "name": axis,
            "type": kinds.get(axis, "sample" if axis == _SAMPLES else "position"),
            **({"unit": units[axis]} if steps.get(axis) else {}),
        }
        for axis in axes
    ]
    channels = [
        {"label": channel.name, "color": channel.color.removeprefix("#")} for channel in info.channels
    ]
    if _SAMPLES in axes:  # "name (R)", "name (G)", "name (B)": one channel
        channels = [{"label": channel.name.removesuffix(" (R)")} for channel in info.channels[::3]]
    positions = [[at.region, at.fov, *([at.name] if at.title != at.label else [])] for at in info.positions]
    return {
        "multiscales": [{"version": "0.4", "name": info.name, "axes": described, "datasets": datasets}],
        "omero": {"channels": channels},
        **({"positions": positions} if len(positions) > 1 else {}),
    }


def _hint(path: str, output: str, root: str) -> str:
    """A hint for the user if the images are not in, or below, the folder of the reference file."""
    if root or is_url(path):
        return ""
    folder = os.path.realpath(os.path.dirname(os.path.abspath(output)))
    try:
        if os.path.commonpath([folder, os.path.realpath(path)]) == folder:
            return ""
    except ValueError:  # on another drive
        pass
    return (
        ". The images are outside its folder: to open it in this viewer, add --storage-option "
        "allow_outside=yes"
    )
