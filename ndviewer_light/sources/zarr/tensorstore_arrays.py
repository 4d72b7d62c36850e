"""Arrays opened by tensorstore; planes are read in their stored order.

The only module that opens stores natively, and only after their metadata was checked in Python.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from abc import ABC, abstractmethod
from asyncio import CancelledError  # the exceptions of tensorstore futures
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import (
    DatasetError,
    PlaneNotStoredError,
    ReadDroppedError,
    ReadTimeoutError,
    UnsupportedError,
)
from ...model import Region
from ...storage.activity import Activity
from ...storage.cancellation import current_scope
from ...storage.decoding.fill_values import as_json, is_usual
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.remote.retries import SLOWEST_BYTES_PER_S
from ..missing import LOOKS, LOOKS_REMOTE
from .chunk_files import files_of, version_of_selection
from .chunk_grid import chunk_bytes, planes_per_chunk
from .chunk_guard import ChunkGuard
from .growing import check_complete, not_written_yet, was_just_written
from .missing_chunks import Looked, MissingPlanes, first_in_folder, first_on_server, is_any_in_folder
from .tensorstore_errors import (
    ChunkMissingError,
    RedirectedError,
    StoreChangedError,
    dataset_error,
    read_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import tensorstore as ts

    from ...model import PlaneKey
    from ...storage.limits import JsonObject
    from ...storage.trees.recording import RecordingTree
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage

_POLL_SECONDS = 0.25
_IO_THREADS = 8
_RETRIES = {"max_retries": 4, "initial_delay": "100ms", "max_delay": "2s"}
_SLOWEST_START_S = 60.0
_OPENED_BYTES = 256 * 1024**2
_POOL_BYTES = (64 * 1024**2, 512 * 1024**2)


class OpenArray(ABC):
    """One open array; any thread."""

    def __init__(self, image: ZarrImage, native: TensorStoreContext) -> None:
        self.image = image
        self.record: RecordingTree | None = None
        """What was looked at to describe it."""
        self._native = native
        self._activity = native.activity(image)
        self._missing = MissingPlanes(image, self._is_being_written, self._first_stored)

    def holds(self, key: PlaneKey, p_index: int | None) -> bool:
        """Whether the plane is within the array as of when it was opened."""
        image = self.image
        return (
            key.t < image.size("t")
            and key.c < image.size("c")
            and key.z < image.size("z")
            and (p_index or 0) < image.size("p")
        )

    def index(self, key: PlaneKey, p_index: int | None) -> tuple[int, ...]:
        """The plane's index along the leading roles t, p, c, z; the caller has checked `holds`."""
        if p_index is None and self.image.size("p") > 1:
            raise UnsupportedError(
                f"{self.image.array} contains {self.image.size('p')} positions where one image is expected"
            )
        return key.t, p_index or 0, key.c, key.z

    def _is_being_written(self) -> bool:
        """Whether somebody writes the array; if that is followed, also what was written just now counts."""
        return self._activity.is_on() or (self._is_followed and was_just_written(self.image))

    @property
    def _is_followed(self) -> bool:
        return self._native.followed and not self._native.remote

    def is_current(self) -> bool:
        """Whether reading its metadata again would give the same, as far as can be told cheaply."""
        return self.record is not None and self.record.is_current()

    def version(self, index: tuple[int, ...]) -> str | None:
        """See `Source.versions`."""
        return None

    def files(self, index: tuple[int, ...], most: int) -> list[str]:
        """The files of a plane on a server, or so many of them; none where it is not stored in files."""
        return []

    @abstractmethod
    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """The pixels (Y, X) at (t, p, c, z), in stored order; only those of `region`, if given.

        Raises `PlaneNotStoredError` if nothing of them is stored, another `DatasetError`.
        """

    @abstractmethod
    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """Which of some planes (t, p, c, z) is the first of which anything is stored."""

    def _selection(self, index: tuple[int, ...], region: Region | None = None) -> tuple[int | slice, ...]:
        """What to read along each axis of the array: all slices have a start and a stop."""
        at: dict[str, int | slice] = dict(zip("tpcz", index, strict=True))
        at["y"], at["x"] = (region or Region(0, 0, *self.image.plane_shape)).slices
        return tuple(at.get(axis.role, 0) for axis in self.image.axes)

    def _upright(self, pixels: np.ndarray) -> np.ndarray:
        roles = [axis.role for axis in self.image.axes]
        return pixels if roles.index("y") < roles.index("x") else pixels.T


class StoreArray(OpenArray):
    """An array that tensorstore reads in place."""

    def __init__(self, image: ZarrImage, native: TensorStoreContext) -> None:
        super().__init__(image, native)
        self._guard = native.guard(image)
        self._store = native.open(image, fill_missing=False)
        self._missing.looks = LOOKS_REMOTE if native.remote else LOOKS

    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """See `OpenArray.read`; strict, then lenient if some chunks exist."""
        selection = self._selection(index, region)
        if self._guard is not None:
            self._guard.check(selection)
        view = self._store[selection]
        try:
            pixels = self._native.read(view, self.image)
        except ChunkMissingError as missing:
            self._native.check_refusal(missing)
            found = self._read_if_any(view, index, selection, is_whole=region is None)
            if found is None and (region is None or not self._missing.is_partly_stored(index)):
                raise self._missing.error(index, missing) from missing
            if self._is_followed:
                check_complete(self._selection(index), self.image)
            fill, dtype = self.image.fill_value, self.image.facts.dtype
            pixels = np.full(view.shape, fill, dtype) if found is None else found
        if self._is_followed and region is None:
            error = not_written_yet(pixels, selection, self.image, self._read_any)
            if error is not None:
                raise error
        self._missing.note(index)
        return self._upright(pixels)

    def _read_any(self, selection: tuple[int | slice, ...]) -> np.ndarray:
        """A selection of any number of planes; what is missing is the fill value."""
        return self._native.read_all(self._native.open(self.image, fill_missing=True)[selection], self.image)

    def _read_if_any(
        self,
        view: ts.TensorStore,
        index: tuple[int, ...],
        selection: tuple[int | slice, ...],
        *,
        is_whole: bool,
    ) -> np.ndarray | None:
        """A plane, or a part of it, with missing chunks; None if all of them are."""
        if not _has_several_chunks(view):
            return None
        if not self._native.remote and not is_any_in_folder(selection, self.image):
            return None
        try:
            return self._read_partial(view, index, selection)
        except PlaneNotStoredError:
            if is_whole:
                raise
            return None

    def _read_partial(
        self, view: ts.TensorStore, index: tuple[int, ...], selection: tuple[int | slice, ...]
    ) -> np.ndarray:
        """A plane with missing chunks: those are fill value, unless nothing at all is stored."""
        if self._native.remote:
            return self._read_chunk_by_chunk(view, index)
        lenient = self._native.open(self.image, fill_missing=True)[selection]
        pixels = self._native.read(lenient, self.image)
        if _is_all(pixels, view.fill_value) and not self._any_chunk_stored(view):
            raise self._missing.error(index)
        return pixels

    def _any_chunk_stored(self, view: ts.TensorStore) -> bool:
        for rows, columns in _tiles(view):
            try:
                # reading one pixel reads its chunk; more would only be copied
                pixel = view[rows.start : rows.start + 1, columns.start : columns.start + 1]
                self._native.read(pixel, self.image)
            except ChunkMissingError:
                continue
            return True
        return False

    def _read_chunk_by_chunk(self, view: ts.TensorStore, index: tuple[int, ...]) -> np.ndarray:
        """Like `_read_partial` from a server, which may deny missing chunks; all chunks at once."""
        fill = 0 if view.fill_value is None else view.fill_value
        pixels = np.full(view.shape, fill, view.dtype.numpy_dtype)
        top, left = view.domain.inclusive_min
        reads = [(tile, self._native.begin(view[tile])) for tile in _tiles(view)]
        missing: ChunkMissingError | None = None
        stored = False
        for (rows, columns), (chunk, future) in reads:
            try:
                self._native.finish(future, self.image)
            except ChunkMissingError as error:
                missing = error
                continue
            stored = True
            pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = chunk
        if not stored:
            raise self._missing.error(index, missing)
        return _delivered(pixels, self.image)

    def version(self, index: tuple[int, ...]) -> str | None:
        """See `Source.versions`; None on a server."""
        return None if self._native.remote else version_of_selection(self._selection(index), self.image)

    def files(self, index: tuple[int, ...], most: int) -> list[str]:
        """See `OpenArray.files`."""
        return list(files_of(self._selection(index), self.image, most, "/"))

    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """See `OpenArray`."""
        selections = [self._selection(index) for index in indices]
        if self._native.remote:
            return first_on_server(selections, self._store, self.image, self._native)
        return first_in_folder(selections, self._store, self.image, self._native)


def _is_all(pixels: np.ndarray, fill: Any) -> bool:
    value = np.asarray(0 if fill is None else fill).astype(pixels.dtype)
    return bool(((pixels == value) | ((pixels != pixels) & (value != value))).all())  # NaN equals NaN here


def _has_several_chunks(view: ts.TensorStore) -> bool:
    return any(len(parts) > 1 for parts in _cuts(view))


def _cuts(view: ts.TensorStore) -> tuple[list[slice], list[slice]]:
    """How the chunks of an array divide the rows and columns of a two-dimensional view of it."""
    parts = view.chunk_layout.read_chunk.shape or (None, None)
    rows, columns = (
        [
            slice(max(at, start), min(at + step, stop))
            for at in range(start // step * step, stop, step)  # chunk grids begin at 0
        ]
        for start, stop, step in (
            (axis.inclusive_min, axis.exclusive_max, part or axis.exclusive_max)
            for axis, part in zip(view.domain, parts, strict=True)
        )
    )
    return rows, columns


def _tiles(view: ts.TensorStore) -> Iterable[tuple[slice, slice]]:
    rows, columns = _cuts(view)
    return itertools.product(rows, columns)


def _delivered(pixels: np.ndarray, image: ZarrImage) -> np.ndarray:
    """`pixels` in the dtype of the image."""
    return pixels if pixels.dtype == image.facts.dtype else pixels.astype(image.facts.dtype, order="K")


class TensorStoreContext:
    """tensorstore with its own context, waited for such that `closed` ends every wait. Any thread.

    Local data is reread each time; data on a server is cached as first read,
    until `renew`.
    """

    def __init__(
        self,
        tree: Tree,
        closed: threading.Event,
        on_refusal: Callable[[str], None],
        *,
        followed: bool = False,
    ) -> None:
        """`on_refusal` is called once, with a message that denied chunks are treated as missing."""
        self.remote = tree.remote
        self.followed = followed
        """Whether somebody follows what is written: what was just written may be incomplete."""
        self._tree = tree
        self._closed = closed
        self._on_refusal = on_refusal
        self._lock = threading.Lock()
        self._context: ts.Context | None = None
        self._numbers = itertools.count()
        self.opened: MemoryCache[tuple[str, str], np.ndarray] = MemoryCache(_OPENED_BYTES, nbytes)
        """Stored objects of several planes that were decoded without tensorstore, by file and version."""

    def open(
        self,
        image: ZarrImage,
        *,
        fill_missing: bool,
        kvstore: JsonObject | None = None,
        metadata: JsonObject | None = None,
    ) -> ts.TensorStore:
        """Open an array whose metadata has been checked; raises a `DatasetError`.

        `kvstore` overrides where its chunks are, `metadata` how they are divided.
        """
        import tensorstore as ts

        spec: JsonObject = {
            "driver": "zarr3" if image.facts.version == 3 else "zarr",
            "kvstore": kvstore or self._tree.kvstore(image.array),
            # an unplugged disk shows as an error instead of fill value, a new shape at once
            "recheck_cached_metadata": not self.remote,
            "recheck_cached_data": not self.remote,
            "fill_missing_data_reads": fill_missing,
            "open": True,
        }
        document, usual = metadata or image.document, is_usual(image.document.get("fill_value"))
        read_again = usual and image.is_as_written and not self.remote and kvstore is None
        if not usual:
            document = {**document, "fill_value": as_json(image.fill_value)}
        if not read_again:  # the checked metadata is used, not read again
            plain = _plain_metadata(document, image.facts.version)
            spec |= {"metadata": plain, "assume_metadata": True}
        try:
            future = ts.open(spec, read=True, context=self._own_context(self._pool_bytes(image)))
            store: ts.TensorStore = self._result(future, image.array)
        except (StoreChangedError, ChunkMissingError) as error:
            raise PlaneNotStoredError(f"{image.array} disappeared while it was being opened") from error
        except DatasetError:
            raise
        except (ValueError, RuntimeError) as error:
            raise dataset_error(error, image.array) from error
        return store

    def activity(self, image: ZarrImage) -> Activity:
        """Whether an array is being written from now on; nobody asks if it says that it is complete."""
        return Activity(None) if image.meta.complete else self._tree.activity(image.array)

    def is_empty(self, view: ts.TensorStore, image: ZarrImage) -> bool:
        """Whether nothing of a view is stored, also in shards. Raises a `DatasetError`."""
        return self.says_empty(self.begin_query(view), image)

    def begin_query(self, view: ts.TensorStore) -> Any:
        """Start asking whether anything of a view is stored; on a server, of at most one chunk, or shard."""
        return view.storage_statistics(query_not_stored=True)

    def says_empty(self, future: Any, image: ZarrImage) -> bool:
        """Wait for `begin_query`: whether nothing is stored. Raises like `read`."""
        return bool(self._result(future, image.array).not_stored)

    def guard(self, image: ZarrImage) -> ChunkGuard | None:
        """The check of an array's chunks before they are read; None if on a server."""
        links = self._tree.links(image.array)
        return None if links is None else ChunkGuard(image, links)

    @contextlib.contextmanager
    def in_memory(self, files: Mapping[str, bytes]) -> Iterator[JsonObject]:
        """A kvstore with these files, by name, for the lifetime of the context."""
        import tensorstore as ts

        path = f"{next(self._numbers)}/"
        store = ts.KvStore.open({"driver": "memory", "path": path}, context=self._own_context()).result()
        try:
            for name, data in files.items():
                store.write(name, data).result()
            yield {"driver": "memory", "path": path}
        finally:
            store.delete_range(ts.KvStore.KeyRange()).result()

    def decoded(self, metadata: JsonObject, files: Mapping[str, bytes], what: str) -> np.ndarray:
        """Decode a small Zarr v3 array with these files as chunks; `what` is named in errors."""
        import tensorstore as ts

        with self.in_memory(files) as kvstore:
            spec = {"driver": "zarr3", "kvstore": kvstore, "metadata": metadata, "assume_metadata": True}
            try:
                store = ts.open({**spec, "open": True}, read=True, context=self._own_context()).result()
                return np.asarray(store.read().result())
            except (ValueError, RuntimeError) as error:
                raise dataset_error(error, what) from error

    def renew(self) -> None:
        """Data on servers may have changed: arrays opened from now on do not use the cache."""
        self.opened.clear()
        with self._lock:
            self._context = None

    def read(self, view: ts.TensorStore, image: ZarrImage) -> np.ndarray:
        """Read a two-dimensional view in stored order, in the dtype of the image."""
        pixels, future = self.begin(view)
        self.finish(future, image)
        return _delivered(pixels, image)

    def read_all(self, view: ts.TensorStore, image: ZarrImage) -> np.ndarray:
        """Read a view of any number of dimensions; raises a `DatasetError`."""
        return np.asarray(self._result(view.read(), image.array))

    def begin(self, view: ts.TensorStore) -> tuple[np.ndarray, Any]:
        """Start reading a two-dimensional view into an array, which is filled once the future is done.

        Into numpy's memory, which has huge pages: into its own, tensorstore takes up to 4 ms longer
        for 2048² uint16, because of page faults.
        """
        import tensorstore as ts

        transposed = view.chunk_layout.inner_order == (1, 0)
        pixels = np.empty(view.shape, view.dtype.numpy_dtype, order="F" if transposed else "C")
        return pixels, ts.array(pixels, copy=False, write=True).write(view)

    def finish(self, future: Any, image: ZarrImage) -> None:
        """Wait for a read started with `begin`; raises its translated error."""
        self._result(future, image.array, image.plane_shape[0] * image.plane_shape[1])

    def check_refusal(self, missing: ChunkMissingError) -> None:
        """Raise the server's denial of a chunk, unless it may mean that the chunk is missing.

        It may, as long as the dataset's metadata can be read: an expired link gives access to nothing.
        """
        if missing.refused is None:
            return
        if not self._tree.may_read():
            raise missing.refused
        self._on_refusal(
            f"{self._tree.root}: its server denies access to some chunks (403), as servers do that do not "
            "allow listing; these chunks are treated as missing"
        )

    # ---- the context ---------------------------------------------------------------------------

    def _own_context(self, pool_bytes: int = 0) -> ts.Context:
        import tensorstore as ts

        with self._lock:
            if self._context is None:
                self._context = ts.Context(
                    {
                        "cache_pool": {"total_bytes_limit": pool_bytes},
                        # separate limits: stuck reads of one dataset must not block another
                        "file_io_concurrency": {"limit": _IO_THREADS},
                        "data_copy_concurrency": {"limit": max(2, os.cpu_count() or 2)},
                        **(self._of_servers() if self.remote else {}),
                    }
                )
            return self._context

    def _pool_bytes(self, image: ZarrImage) -> int:
        """Planes are cached elsewhere; this pool is for data needed again for the next plane."""
        if not self.remote or planes_per_chunk(image) == 1:
            return 0
        least, most = _POOL_BYTES
        return min(most, max(least, 4 * chunk_bytes(image)))

    def _of_servers(self) -> JsonObject:
        stall = str(max(1, round(self._tree.stall_s)))
        # the only way to set this; without it, tensorstore waits for a silent server for ever
        os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS", stall)
        os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES", "250")
        os.environ.setdefault("TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS", "10")
        found: JsonObject = {}
        for service in ("http", "s3", "gcs"):
            found[f"{service}_request_retries"] = _RETRIES
            found[f"{service}_request_concurrency"] = {"limit": self._tree.in_flight}
        return found

    # ---- waiting -------------------------------------------------------------------------------

    def _result(self, future: Any, array: str, pixels: int = 0) -> Any:
        """Wait for tensorstore, checking every quarter of a second whether the dataset was closed."""
        until = (
            time.monotonic() + max(_SLOWEST_START_S, 3 * self._tree.stall_s) + pixels / SLOWEST_BYTES_PER_S
        )
        if not self.remote:  # local reads finish soon and are worth keeping
            return self._waited(future, array, until)
        with _in_current_scope(future, array):
            return self._waited(future, array, until)

    def _waited(self, future: Any, array: str, until: float) -> Any:
        try:
            while not future.done():
                if self._closed.is_set():
                    future.cancel()
                    break
                if self.remote and time.monotonic() > until:
                    future.cancel()
                    raise ReadTimeoutError(f"reading {array} timed out: the network may be slow or busy")
                with contextlib.suppress(TimeoutError):
                    return future.result(timeout=_POLL_SECONDS)
            else:
                return future.result()
        except ReadTimeoutError:
            raise
        except (ValueError, RuntimeError, TimeoutError) as error:
            self._raise_meaning(error, array)
        raise DatasetError(f"the dataset was closed while {array} was being read")

    def _raise_meaning(self, error: Exception, array: str) -> None:
        meaning = read_error(error, array, remote=self.remote)
        if isinstance(meaning, RedirectedError):
            self._tree.follow(meaning.url)
            meaning = StoreChangedError(f"{array} was redirected")
        raise meaning from error


class _TensorStoreRead:
    """A tensorstore read as a `Cancellable`."""

    def __init__(self, future: Any, array: str) -> None:
        self.future = future
        self.array = array

    def give_up(self) -> None:
        self.future.cancel()
        if hasattr(self.future, "commit"):  # for a copy into our memory, that has only cancelled the copy
            self.future.commit.cancel()

    def not_wanted(self) -> ReadDroppedError:
        return ReadDroppedError(f"{self.array}: no longer needed")


@contextlib.contextmanager
def _in_current_scope(future: Any, array: str) -> Iterator[None]:
    """Tie a read to this thread's cancel scope, if there is one."""
    scope, read = current_scope(), _TensorStoreRead(future, array)
    if scope is None:
        yield
        return
    scope.add(read)
    try:
        yield
    except CancelledError:
        raise read.not_wanted() from None
    finally:
        scope.remove(read)


_V2_FIELDS = (
    *("zarr_format", "shape", "chunks", "dtype", "compressor", "fill_value", "order", "filters"),
    "dimension_separator",
)
_V3_PROSE = ("attributes", "consolidated_metadata")


def _plain_metadata(document: JsonObject, version: int) -> JsonObject:
    """The metadata tensorstore needs; it might reject the rest."""
    if version == 2:
        return {name: document[name] for name in _V2_FIELDS if name in document}
    return {name: value for name, value in document.items() if name not in _V3_PROSE}


def traffic() -> tuple[int, int]:
    """The number of requests tensorstore has sent in this process, and of bytes received."""
    import tensorstore as ts

    said = {m["name"]: m["values"] for m in ts.experimental_collect_matching_metrics("/tensorstore/http/")}
    requests = sum(int(each["value"]) for each in said.get("/tensorstore/http/request_started", ()))
    sizes = said.get("/tensorstore/http/response_bytes", ())
    return requests, round(sum(each["mean"] * each["count"] for each in sizes))
