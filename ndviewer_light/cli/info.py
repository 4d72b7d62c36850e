"""``ndviewer-light info PATH``: describe a dataset without showing it, as text or as JSON.

The JSON always has all keys (null where unknown):

==============  ====================================================================================
path, name      where it is, without login and query; its name
format, why     the format recognised, and by what
sizes           samples along ``t p c z y x``, in that order
dtype, bytes    of a pixel; of all pixels of the largest level, decompressed
pixel_size_um   ``y`` and ``x``
z_step_um, time_step_s, times, complete
positions       ``count``; ``first``: region, fov, x_um, y_um, z_um, name, acquisition, label, title (5)
acquisitions    of a plate with several (else null): name, ``positions`` (count) of each
channels        name, color, excitation_nm, emission_nm, window, visible, lut, inverted
images          if positions differ (else null), for those that are alike: ``positions`` (count), ``first``
                (title), sizes, dtype, pixel_size_um, z_step_um, time_step_s, ``channels`` (names)
labels          the paths of label images, as they are opened (null without any)
may_be          what else it may be where that is not certain: ``text`` and ``options`` (null if it is)
levels          ``[z, height, width]`` of each level of the first position, the largest first
open            ``seconds``, ``requests`` and ``bytes`` (null unless on a server) to open it
first_plane     the same for the plane at 0, 0, 0, 0 (if large: the level that fits a window, or one
                tile of it); ``error`` says why there is none (else null)
hosts           the servers that were contacted
details         specific to the format: chunks, codecs, file names, …
warnings        what the user should know
planes          only with ``--planes``: which of them are there; see `planes`
==============  ====================================================================================

A dataset that cannot be opened gives ``{"path": …, "error": {"name": …, "text": …}}`` with exit status 1.
With ``--planes`` the exit status is 0 if every expected plane is there, 3 if some are missing or unreadable,
4 if none is known to be but not everything is known.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..engine.surveyor import REPORT_SECONDS
from ..errors import NDViewerError
from ..model import how_many
from ..storage.bytes import WEB_SCHEMES, absolute_of_named, is_url, scheme_of
from ..storage.presentable import presentable
from ..storage.printable import printable
from .access_options import add_storage_options, storage_options
from .command_parser import CommandParser, positive
from .linked_view import dataset_in
from .planes import exit_code, lines_of, planes_of
from .terminal import complain, guarded, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..model import DatasetInfo, ImageInfo
    from ..sources import Source
    from ..storage.remote.client import Traffic

    Said = dict[str, Any]

_FIRST_POSITIONS = 5
_POSITIONS_LOOKED_AT = 512
"""Datasets with more positions are described by those that were read anyway."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns its exit status."""
    return guarded("info", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.path, storage = dataset_in(options.path), storage_options(options)
    except ValueError as error:
        parser.error(str(error))
    seconds = options.seconds if options.seconds or options.read else REPORT_SECONDS
    try:
        said = describe(options.path, storage)
        if options.planes or options.read:
            said["planes"] = planes_of(options.path, storage, read=options.read, seconds=seconds)
            said["warnings"] = list(dict.fromkeys([*said["warnings"], *said["planes"].pop("warnings")]))
    except NDViewerError as error:
        if not options.json:
            complain("info", str(error))
            return 1
        said = {
            "path": presentable(options.path),
            "error": {"name": type(error).__name__, "text": str(error)},
        }
    say(json.dumps(said, indent=2) if options.json else as_text(said))
    if "error" in said:
        return 1
    return exit_code(said["planes"]) if "planes" in said else 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="ndviewer-light info",
        description="Describe a dataset: its format and how it was recognised, its contents, and the cost "
        "of reading its first plane.",
    )
    parser.add_argument("path", help="a folder, a file or a URL (https://, s3://, gs://, smb://)")
    parser.add_argument(
        "--json", action="store_true", help="machine-readable output: JSON, always with the same keys"
    )
    parser.add_argument(
        "--planes",
        action="store_true",
        help="count the planes that are stored, and list those that are not. Exit status: 0 if every "
        "expected plane is there, 3 if some are missing or unreadable, 4 if not everything is known",
    )
    parser.add_argument(
        "--read", action="store_true", help="with --planes: read every plane, to find damaged ones"
    )
    parser.add_argument(
        "--seconds",
        type=positive,
        metavar="N",
        help=f"with --planes: stop after N seconds (default: {REPORT_SECONDS:g}; with --read, no limit)",
    )
    add_storage_options(parser)
    return parser


# ---- facts -------------------------------------------------------------------------------------


def describe(path: str, options: Mapping[str, str] | None = None) -> Said:
    """Open the dataset, read its first plane, and return what the module's docstring lists.

    Blocks on disk or network. Raises a `DatasetError` if it cannot be opened.
    """
    from ..sources import open_source
    from ..storage.remote.client import counted

    path = absolute_of_named(path)
    with counted() as traffic:
        costs = _Costs(path, traffic)
        source = costs.of("open", lambda: open_source(path, options))
        try:
            costs.source = source
            costs.of("first_plane", lambda: _read_first_plane(source))
            if len(source.info.positions) <= _POSITIONS_LOOKED_AT:
                source.look_at_all()
            more = source.describe()
            info = source.info
            said = _facts(path, info, more.pop("why", "") or _usual_reason(path))
            said["levels"] = _levels(source)
            said |= costs.said
            said["hosts"] = list(dict.fromkeys([*more.pop("hosts", ()), *traffic.hosts]))
            for name in _SENT:
                more.pop(name, None)
            warnings = list(source.info.warnings)  # the levels may have added some
            return {**said, "details": more, "warnings": warnings}
        finally:
            source.close()


def _read_first_plane(source: Source) -> None:
    """Read what a viewer shows first: of a large image the level that fits a window, or one tile of it."""
    from ..engine.tiles import ONE_TILE_PIXELS
    from ..model import PlaneKey, Region

    p = source.info.first_position
    first, image, level, tile = PlaneKey(p=p), source.info.image(p), 0, None
    if image.height * image.width > ONE_TILE_PIXELS:
        level = source.level_for(p, *_WINDOW) if image.n_levels > 1 else 0
        tile = source.tile_shape(p) if level == 0 else None
    if tile is None:
        source.read_plane(first, level)
    else:
        source.read_region(first, Region(0, 0, *tile))


_WINDOW = (800, 1100)
_SENT = ("requests", "bytes")
"""What a source may report about requests of its own that bypass the scheduler."""


class _Costs:
    """The seconds, requests and bytes that calls take."""

    def __init__(self, path: str, traffic: Traffic) -> None:
        self.source: Source | None = None
        self.said: Said = {}
        self._is_counted = scheme_of(path) in WEB_SCHEMES
        self._traffic = traffic

    def of(self, name: str, call: Callable[[], Any]) -> Any:
        """Measure `call` and return its result; None, with the reason noted, if it fails after opening."""
        before, start, error = self._sent(), time.perf_counter(), None
        result = None
        try:
            result = call()
        except NDViewerError as failure:
            if self.source is None:
                raise
            error = str(failure)
        seconds = round(time.perf_counter() - start, 4)
        sent = [after - earlier for after, earlier in zip(self._sent(), before, strict=True)]
        cost: Said = {"seconds": seconds, "requests": None, "bytes": None}
        if self._is_counted:
            cost |= dict(zip(_SENT, sent, strict=True))
        self.said[name] = cost if self.source is None else {**cost, "error": error}
        return result

    def _sent(self) -> tuple[int, int]:
        own = self.source.describe() if self.source is not None and self._is_counted else {}
        return (
            self._traffic.requests + int(own.get("requests", 0)),
            self._traffic.bytes + int(own.get("bytes", 0)),
        )


def _facts(path: str, info: DatasetInfo, why: str) -> Said:
    positions = [
        {**p._asdict(), "label": p.label, "title": p.title} for p in info.positions[:_FIRST_POSITIONS]
    ]
    return {
        "path": presentable(path),
        "name": info.name,
        "format": info.format,
        "why": why,
        "sizes": info.sizes,
        "dtype": None if info.dtype is None else str(info.dtype),
        "bytes": None if info.dtype is None else sum(map(_size, map(info.image, range(len(info.positions))))),
        **_steps(info),
        "times": list(info.times) or None,
        "complete": info.complete,
        "positions": {"count": len(info.positions), "first": positions},
        "acquisitions": _acquisitions(info),
        "channels": [asdict(channel) for channel in info.channels],
        "images": [_image(info, image) for image in info.groups] if len(info.groups) > 1 else None,
        "labels": list(map(presentable, info.labels)) or None,
        "may_be": [{"text": way.text, "options": dict(way.options)} for way in info.interpretations] or None,
    }


def _way(way: Said) -> str:
    options = " ".join(f"--storage-option {name}='{value}'" for name, value in way["options"].items())
    return f"{way['text']}   ({options})"


def _steps(of: DatasetInfo | ImageInfo) -> Said:
    return {
        "pixel_size_um": {"y": of.pixel_size_y_um, "x": of.pixel_size_x_um},
        "z_step_um": of.z_step_um,
        "time_step_s": of.time_step_s,
    }


def _size(image: ImageInfo) -> int:
    """The bytes of all pixels of the largest level, decompressed."""
    return 0 if image.dtype is None else math.prod(image.sizes.values()) * image.dtype.itemsize


def _acquisitions(info: DatasetInfo) -> list[Said] | None:
    counts = Counter(position.acquisition for position in info.positions)
    return [{"name": name, "positions": n} for name, n in counts.items()] if any(counts) else None


def _image(info: DatasetInfo, image: ImageInfo) -> Said:
    positions = [p for p in range(len(info.positions)) if info.image(p) is image]
    return {
        "positions": len(positions),
        "first": info.positions[positions[0]].title if positions else None,
        "sizes": image.sizes,
        "dtype": None if image.dtype is None else str(image.dtype),
        **_steps(image),
        "channels": [channel.name for channel in image.channels],
    }


def _usual_reason(path: str) -> str:
    return "its name" if is_url(path) else "its name, its signature or its contents"


def _levels(source: Source) -> list[list[int]]:
    try:
        return [list(level.sizes) for level in source.levels(0)]
    except (NDViewerError, IndexError):
        return []


# ---- as text -------------------------------------------------------------------------------------


def as_text(said: Mapping[str, Any]) -> str:
    """The result of `describe` as text: one labelled line per fact, details below each other."""
    sections = list(_sections(said))
    width = max(len(name) for name, _ in sections)
    lines = [printable(str(said["path"]))]
    for name, values in sections:
        lines += [
            f"  {'' if i else printable(name):{width}}  {printable(value)}".rstrip()
            for i, value in enumerate(values)
        ]
    return "\n".join(lines)


def _sections(said: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    yield "format", [said["format"], f"recognised by {said['why']}"]
    yield "sizes", ["   ".join(f"{axis} {n:,}" for axis, n in said["sizes"].items())]
    yield "pixels", [_pixels(said)]
    yield "scale", [_scale(said)]
    yield "channels", [_channel(channel) for channel in said["channels"]]
    yield "positions", [_positions(said["positions"])]
    if said["acquisitions"]:
        yield (
            "acquisitions",
            [f"{each['positions']:,} in {each['name'] or 'none'}" for each in said["acquisitions"]],
        )
    if said["images"]:
        yield "which differ", [_contents(image) for image in said["images"]]
    if said["labels"]:
        yield "labels", said["labels"]
    if said["may_be"]:
        yield "may be", list(map(_way, said["may_be"]))
    if len(said["levels"]) > 1:
        is_flat = all(z == 1 for z, _, _ in said["levels"])
        shapes = [_plain(shape[1:] if is_flat else shape) for shape in said["levels"]]
        yield "levels", [f"{len(shapes)}: {', '.join(shapes)}"]
    for name, value in said["details"].items():
        if value not in (None, "", [], {}):
            yield name, [_plain(value)]
    yield "opened", [_cost(said["open"])]
    yield "first plane", [_cost(said["first_plane"])]
    if said["hosts"]:
        yield "servers", [", ".join(said["hosts"])]
    if said["complete"] is not None:
        yield "complete", [_complete(said["complete"], said.get("planes"))]
    if said["warnings"]:
        yield "warnings", list(said["warnings"])
    if "planes" in said:
        yield "planes", list(lines_of(said["planes"], said["sizes"]))


def _complete(by_metadata: bool, planes: Mapping[str, Any] | None) -> str:
    """Whether a run is complete, by its metadata, and by the planes that there are if these were counted."""
    if by_metadata:
        return "yes, by its metadata"
    unsaid = "the metadata do not say that the run has ended"
    if planes is None:
        return f"{unsaid}: it goes on, or was stopped; --planes says which planes are there"
    n, planned = planes["present"] + planes["filled"], how_many(planes["expected"], "plane")
    if n == planes["expected"] and not planes["empty_wells"]:
        return f"all {planned} are there; {unsaid}"
    return f"no: {n:,} of {planned} were found, and {unsaid}"


def _pixels(said: Mapping[str, Any]) -> str:
    if said["dtype"] is None:
        return "unknown: nothing is written yet"
    return f"{said['dtype']}, {_bytes(said['bytes'])} in total"


def _scale(said: Mapping[str, Any]) -> str:
    size = said["pixel_size_um"]
    parts = [f"{axis} {size[axis]:g} µm" for axis in "yx" if size[axis] is not None]
    parts += [f"z {said['z_step_um']:g} µm"] if said["z_step_um"] is not None else []
    parts += [f"t {said['time_step_s']:g} s"] if said["time_step_s"] is not None else []
    return "   ".join(parts) or "unknown"


def _channel(channel: Mapping[str, Any]) -> str:
    parts = [channel["color"], channel["name"]]
    for key, what in (("excitation_nm", "excitation"), ("emission_nm", "emission")):
        if channel[key] is not None:
            parts.append(f"{what} {channel[key]:g} nm")
    if channel["window"] is not None:
        parts.append("displayed from {:g} to {:g}".format(*channel["window"]))
    parts += ["inverted"] * channel["inverted"] + ["hidden at first"] * (not channel["visible"])
    return "  ".join(parts)


def _positions(positions: Mapping[str, Any]) -> str:
    titles = [position["title"] for position in positions["first"]]
    more = positions["count"] - len(titles)
    return f"{positions['count']:,}: {', '.join(titles)}" + (f" and {more:,} more" if more else "")


def _contents(image: Mapping[str, Any]) -> str:
    sizes = " ".join(f"{axis} {n:,}" for axis, n in image["sizes"].items())
    where = f"{image['positions']:,} like {image['first']}"
    return f"{where}: {sizes}   {image['dtype']}   {_scale(image)}   {', '.join(image['channels'])}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        numbers = all(isinstance(each, int) for each in value)
        return (" × " if numbers and len(value) > 1 else ", ").join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cost(cost: Mapping[str, Any]) -> str:
    text = f"{cost['seconds']:.2f} s"
    if cost["requests"] is not None:
        text += f", {how_many(cost['requests'], 'request')}, {_bytes(cost['bytes'])}"
    return f"{text}: {cost['error']}" if cost.get("error") else text


def _bytes(n: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if n < 1000 or unit == "TB":
            break
        n /= 1000  # type: ignore[assignment]
    return f"{n:.3g} {unit}"
