"""The messages between a viewer and its reader process: framed JSON, never pickle.

Four bytes of length (big-endian), then UTF-8 JSON. Pixels are not sent this way (see `shared_memory`).
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import (
    BY_NAME,
    DatasetError,
    NDViewerError,
    PlaneNotStoredError,
)
from ..model import (
    AnnouncedRun,
    Channel,
    DatasetInfo,
    ImageInfo,
    Interpretation,
    LabelFacts,
    Level,
    Offset,
    PlacedWarning,
    PlaneKey,
    PlaneStatistics,
    Position,
    Scale,
    Sizes,
    WarningPlace,
    channel_name,
    place_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..model import Rgba

    Message = dict[str, Any]

MAX_MESSAGE_BYTES = 64 * 1024**2
"""Larger than the announcement of a run of 100,000 positions; anything above is a broken pipe."""

_LENGTH = struct.Struct(">I")


def frame(message: Mapping[str, Any]) -> bytes:
    """One message as sent. Raises `TypeError` or `ValueError` for values that cannot be sent."""
    body = _encode(message).encode()
    return _LENGTH.pack(len(body)) + body


def send(stream: BinaryIO, message: Mapping[str, Any]) -> None:
    """Write one message and flush. Raises `OSError` if the other end is closed."""
    stream.write(frame(message))
    stream.flush()


def _plain(value: object) -> object:
    if isinstance(value, np.generic):  # a size or scale taken from an array
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent between processes")


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def receive(stream: BinaryIO) -> Message | None:
    """Read one message, blocking; None at the end of the stream or for an invalid message."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE_BYTES:
        return None
    body = stream.read(length)
    if len(body) < length:
        return None
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def what_to_json(what: str | AnnouncedRun) -> Message:
    """What to open: a path, or the stores of an announced run."""
    return {"path": what} if isinstance(what, str) else {"run": asdict(what)}


def what_from_json(message: Message) -> str | AnnouncedRun:
    """The inverse of `what_to_json`."""
    if "path" in message:
        return str(message["path"])
    run = message["run"]
    return AnnouncedRun(
        positions=tuple(Position(*position) for position in run["positions"]),
        paths=tuple(run["paths"]),
        indices=tuple(run["indices"]),
        channels=tuple(run["channels"]),
        n_z=run["n_z"],
        height=run["height"],
        width=run["width"],
    )


def statistics_from_json(message: Sequence[Any] | None) -> PlaneStatistics | None:
    """What was measured of a plane, which is sent as a list; None if that was known already."""
    return None if message is None else PlaneStatistics._make(message)


def info_to_json(info: DatasetInfo, before: DatasetInfo | None = None) -> Message:
    """Everything in a `DatasetInfo`; positions by column, since there may be 10,000 of them.

    Of what was sent `before`, positions are not sent again: see `with_known_positions`.
    """
    message = {name: getattr(info, name) for name in info.__dataclass_fields__}
    known = before.positions if before is not None else ()
    n = len(known) if info.positions is known or info.positions[: len(known)] == known else 0
    message["positions_known"] = n
    message["positions"] = [list(column) for column in zip(*info.positions[n:], strict=True)]
    message["channels"] = [asdict(channel) for channel in info.channels]
    message["dtype"] = _dtype_to_json(info.dtype)
    different = list(dict.fromkeys((*filter(None, (info.common,)), *info.images.values())))
    message["common"] = None if info.common is None else 0
    message["assumed"] = sorted(info.assumed)
    message["warnings"] = [[text, place_of(text)] for text in info.warnings]
    message["images"] = [[p, different.index(image)] for p, image in info.images.items()]
    return {**message, "different": [_image_to_json(image) for image in different]}


def _image_to_json(image: ImageInfo) -> Message:
    message = {name: getattr(image, name) for name in image.__dataclass_fields__}
    message["channels"] = [asdict(channel) for channel in image.channels]
    message["dtype"] = _dtype_to_json(image.dtype)
    return message


def _dtype_to_json(dtype: np.dtype | None) -> str | None:
    return dtype.str if dtype is not None else None


def with_known_positions(message: Message, known: tuple[Position, ...]) -> Message:
    """A message of `info_to_json` with all positions; `known` are those of the message before, or none."""
    n = message["positions_known"]
    if n > len(known):
        raise ValueError(f"{n} positions are said to be known, {len(known)} are")
    if message["positions"]:
        columns = map(_with_same_text_once, message["positions"])
        known = known[:n] + tuple(Position(*row) for row in zip(*columns, strict=True))
    return {**message, "positions": known if message["positions"] or n == len(known) else known[:n]}


def _with_same_text_once(column: Sequence[object]) -> list[object]:
    """The same values: fields of a well have the same region, and those of other wells the same names."""
    known: dict[str, str] = {}
    return [known.setdefault(each, each) if isinstance(each, str) else each for each in column]


def info_from_json(message: Message) -> DatasetInfo:
    """The inverse of `info_to_json`, of a message with all positions."""
    fields = _with_types(message)
    fields.pop("positions_known")
    different = [ImageInfo(**_with_types(image)) for image in fields.pop("different")]
    fields["common"] = None if message["common"] is None else different[message["common"]]
    fields["images"] = {p: different[i] for p, i in message["images"]}
    if not isinstance(message["positions"], tuple):
        fields["positions"] = with_known_positions(message, ())["positions"]
    fields["warnings"] = tuple(
        text if place is None else PlacedWarning(text, WarningPlace(*place))
        for text, place in message["warnings"]
    )
    fields["choices"] = tuple(message["choices"])
    fields["labels"] = tuple(message["labels"])
    fields["empty_wells"] = tuple(message["empty_wells"])
    fields["assumed"] = frozenset(message["assumed"])
    fields["interpretations"] = tuple(
        Interpretation(text, tuple((name, value) for name, value in options))
        for text, options in message["interpretations"]
    )
    return DatasetInfo(**fields)


def _with_types(message: Message) -> Message:
    """The fields of an `ImageInfo` or `DatasetInfo` that JSON has other types for."""
    channels = (
        Channel(**{**channel, "window": tuple(channel["window"]) if channel["window"] else None})
        for channel in message["channels"]
    )
    dtype = np.dtype(message["dtype"]) if message["dtype"] is not None else None
    return {**message, "channels": tuple(channels), "dtype": dtype, "times": tuple(message["times"])}


def levels_to_json(levels: Sequence[Level]) -> list[list[Any]]:
    """The levels of an image: dtype, three sizes, three scales, and three offsets if these are known."""
    return [
        [_dtype_to_json(level.dtype), *level.sizes, *level.scale, *(level.said_middle or ())]
        for level in levels
    ]


def levels_from_json(levels: Sequence[Sequence[Any]]) -> tuple[Level, ...]:
    """The inverse of `levels_to_json`."""
    return tuple(
        Level(
            Sizes(*map(int, each[:3])),
            Scale(*each[3:6]),
            Offset(*each[6:9]) if each[6:] else None,
            np.dtype(dtype) if dtype is not None else None,
        )
        for dtype, *each in levels
    )


def label_facts_to_json(facts: LabelFacts) -> Message:
    """Colours and properties of labels; JSON has no whole numbers as names."""
    return {"colours": list(facts.colours.items()), "properties": list(facts.properties.items())}


def label_facts_from_json(message: Message) -> LabelFacts:
    """The inverse of `label_facts_to_json`."""
    colours: dict[int, Rgba] = {value: (r, g, b, a) for value, (r, g, b, a) in message["colours"]}
    return LabelFacts(colours, dict(message["properties"]))


def key_to_json(key: PlaneKey, info: DatasetInfo | None) -> Message:
    """The address of a plane.

    A channel that the first image lacks goes by its name: its index depends on the order in which a
    process has looked at the positions.
    """
    if info is not None and len(info.groups[0].channels) <= key.c < len(info.channels):
        return {"key": list(key), "channel": channel_name(info.channels, key.c)}
    return {"key": list(key)}


def error_to_json(error: BaseException) -> Message:
    """Class name and text of an error; no traceback, no objects."""
    known = isinstance(error, (NDViewerError, IndexError))
    message: Message = {
        "name": type(error).__name__ if known else DatasetError.__name__,
        "text": str(error) if known else f"{type(error).__name__}: {error}",
    }
    if isinstance(error, PlaneNotStoredError):
        message["missing"] = _missing_to_json(error)
    return message


def _missing_to_json(error: PlaneNotStoredError) -> Message:
    fill = error.fill_value
    return {
        "plane_shape": error.plane_shape,
        "fill_value": None if fill is None else [fill.dtype.str, fill.tobytes().hex()],
        "is_fill_value": error.is_fill_value,
        "is_expected": error.is_expected,
        "shares_chunks": error.shares_chunks,
    }


def error_from_json(message: Message) -> Exception:
    """The inverse of `error_to_json`; an unknown name becomes a `DatasetError`."""
    if message["name"] == IndexError.__name__:
        return IndexError(message["text"])
    error = BY_NAME.get(message["name"], DatasetError)(message["text"])
    if isinstance(error, PlaneNotStoredError) and message.get("missing"):
        _take_missing(error, message["missing"])
    return error


def _take_missing(error: PlaneNotStoredError, said: Message) -> None:
    if said["plane_shape"]:
        height, width = said["plane_shape"]
        error.plane_shape = (int(height), int(width))
    if said["fill_value"]:
        dtype, value = said["fill_value"]
        error.fill_value = np.frombuffer(bytes.fromhex(value), dtype)[0]
    error.is_fill_value, error.is_expected = bool(said["is_fill_value"]), bool(said["is_expected"])
    error.shares_chunks = bool(said["shares_chunks"])
