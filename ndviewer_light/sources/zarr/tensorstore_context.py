"""tensorstore as we use it: its own context, bounded waits, metadata that was checked in Python.

The only module that opens stores natively.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from asyncio import CancelledError  # the exceptions of tensorstore futures
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DatasetError, PlaneNotStoredError, ReadDroppedError, ReadTimeoutError, closed_error
from ...storage.activity import Activity
from ...storage.cancellation import current_scope
from ...storage.decoding.fill_values import as_json, is_usual
from ...storage.decoding.zarr_guard import WIDENED
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.plane_memory import plane_memory
from ...storage.program_end import is_ending
from ...storage.remote.retries import SLOWEST_BYTES_PER_S
from ..shared_chunks import SharedChunks
from .chunk_grid import chunk_bytes, chunks_of, planes_per_chunk
from .chunk_guard import ChunkGuard
from .tensorstore_errors import (
    REFUSALS,
    ChunkMissingError,
    RedirectedError,
    StoreChangedError,
    dataset_error,
    read_error,
)
from .tensorstore_forks import check_not_forked, note_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import tensorstore as ts

    from ...storage.limits import JsonObject
    from ...storage.local_files import LinkGuard
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage

_POLL_SECONDS = 0.25
_IO_THREADS = 8
_RETRIES = {"max_retries": 4, "initial_delay": "100ms", "max_delay": "2s"}
_SLOWEST_START_S = 60.0
_OPENED_BYTES = 256 * 1024**2
_POOL_BYTES = (64 * 1024**2, 512 * 1024**2)


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
        self._since_ns = time.time_ns()
        self._lock = threading.Lock()
        self._context: ts.Context | None = None
        self.generation = 0
        """Of which `renew` the context is; arrays that were opened in an earlier one are opened anew."""
        self._numbers = itertools.count()
        self.opened: MemoryCache[tuple[str, str], np.ndarray] = MemoryCache(_OPENED_BYTES, nbytes)
        """Stored objects of several planes that were decoded without tensorstore, by file and version."""
        self.shared = SharedChunks(lambda: self.followed)

    def open(
        self,
        image: ZarrImage,
        *,
        fill_missing: bool,
        kvstore: JsonObject | None = None,
        metadata: JsonObject | None = None,
    ) -> ts.TensorStore:
        """Open an array whose metadata has been checked; raises a `DatasetError`.

        `kvstore` overrides where its chunks are, `metadata` how they are divided. Raises `StoreChangedError`
        if another array has taken its place since it was checked.
        """
        import tensorstore as ts

        check_not_forked()
        spec: JsonObject = {
            "driver": "zarr3" if image.facts.version == 3 else "zarr",
            "kvstore": kvstore or self._tree.kvstore(image.array),
            # an unplugged disk shows as an error instead of fill value, a new shape at once
            "recheck_cached_metadata": not self.remote,
            "recheck_cached_data": not self.remote,
            "fill_missing_data_reads": fill_missing,
            "open": True,
        }
        usual = is_usual(image.document.get("fill_value"))
        read_again = usual and image.is_as_written and not self.remote and kvstore is None
        if not read_again:  # the checked metadata is used, not read again
            spec |= {"metadata": plain_metadata(image, metadata), "assume_metadata": True}
        try:
            future = ts.open(spec, read=True, context=self._own_context(self._pool_bytes(image)))
            store: ts.TensorStore = self._result(future, image.array)
            note_alive(store)
        except (StoreChangedError, ChunkMissingError) as error:
            raise PlaneNotStoredError(f"{image.array} disappeared while it was being opened") from error
        except DatasetError:
            raise
        except REFUSALS as error:
            raise dataset_error(error, image.array) from error
        if read_again and not _is_of(store, image):
            raise StoreChangedError(f"{image.array} was replaced while it was being opened")
        return store

    def begin_open(self, image: ZarrImage, metadata: JsonObject) -> Any:
        """Start opening a local array for one read right now, with its `metadata` as of `plain_metadata`.

        Its files are not asked again. What `finish_open` waits for.
        """
        import tensorstore as ts

        check_not_forked()
        spec: JsonObject = {
            "driver": "zarr3" if image.facts.version == 3 else "zarr",
            "kvstore": self._tree.kvstore(image.array),
            "metadata": metadata,
            "assume_metadata": True,
            "open": True,
        }
        return ts.open(spec, read=True, context=self._own_context())

    def finish_open(self, future: Any, image: ZarrImage) -> ts.TensorStore:
        """The array that `begin_open` opens. Raises a `DatasetError`."""
        store: ts.TensorStore = self._result(future, image.array)
        return store

    def activity(self, image: ZarrImage) -> Activity:
        """Whether an array is written since this was made; nobody asks if it says that it is complete."""
        return Activity(None) if image.meta.complete else self._tree.activity(image.array, self._since_ns)

    def is_empty(self, view: ts.TensorStore, image: ZarrImage) -> bool:
        """Whether nothing of a view is stored, also in shards. Raises a `DatasetError`."""
        return self.says_empty(self.begin_query(view), image)

    def begin_query(self, view: ts.TensorStore) -> Any:
        """Start asking whether anything of a view is stored; on a server, of at most one chunk, or shard."""
        check_not_forked()
        return view.storage_statistics(query_not_stored=True)

    def says_empty(self, future: Any, image: ZarrImage) -> bool:
        """Wait for `begin_query`: whether nothing is stored. Raises like `read`."""
        return bool(self._result(future, image.array).not_stored)

    def guard(self, image: ZarrImage) -> ChunkGuard | None:
        """The check of an array's chunks before they are read; None if on a server."""
        links = self.links(image)
        return None if links is None else ChunkGuard(image, links)

    def links(self, image: ZarrImage) -> LinkGuard | None:
        """What says which files belong to a dataset; None on a server."""
        return self._tree.links(image.array)

    @contextlib.contextmanager
    def in_memory(self, files: Mapping[str, bytes]) -> Iterator[JsonObject]:
        """A kvstore with these files, by name, for the lifetime of the context."""
        import tensorstore as ts

        check_not_forked()
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
            except REFUSALS as error:
                raise dataset_error(error, what) from error

    def renew(self) -> None:
        """Data on servers may have changed, or a read hangs: later reads share nothing with earlier ones.

        What is being read goes on in the context that it began in.
        """
        self.opened.clear()
        with self._lock:
            self._context = None
            self.generation += 1

    def read(self, view: ts.TensorStore, image: ZarrImage, *, in_one_piece: bool = False) -> np.ndarray:
        """Read a two-dimensional view in stored order, in the dtype of the image.

        `in_one_piece`: it is a plane in one chunk of a local array, see `plane_memory`.
        """
        pixels, future = self.begin(view, plane_memory if in_one_piece else np.empty)
        self.finish(future, image, to_its_end=not pixels.flags.owndata)
        return delivered(pixels, image)

    def read_all(self, view: ts.TensorStore, image: ZarrImage) -> np.ndarray:
        """Read a view of any number of dimensions; raises a `DatasetError`."""
        check_not_forked()
        return np.asarray(self._result(view.read(), image.array))

    def begin(
        self, view: ts.TensorStore, make: Callable[..., np.ndarray] = np.empty
    ) -> tuple[np.ndarray, Any]:
        """Start reading a two-dimensional view into an array, which is filled once the future is done.

        Into numpy's memory, which has huge pages: into its own, tensorstore takes up to 4 ms longer
        for 2048² uint16, because of page faults.
        """
        import tensorstore as ts

        check_not_forked()
        transposed = view.chunk_layout.inner_order == (1, 0)
        pixels = make(view.shape, view.dtype.numpy_dtype, order="F" if transposed else "C")
        return pixels, ts.array(pixels, copy=False, write=True).write(view)

    def finish(self, future: Any, image: ZarrImage, *, to_its_end: bool = False) -> None:
        """Wait for a read started with `begin`; raises its translated error.

        `to_its_end`: also when the dataset is closed. A read that is cancelled may go on writing, which it
        must not where its memory is used again: see `plane_memory`.
        """
        pixels = image.plane_shape[0] * image.plane_shape[1]
        self._result(future, image.array, pixels, to_its_end=to_its_end)

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
                note_alive(self._context)
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

    def _result(self, future: Any, array: str, pixels: int = 0, *, to_its_end: bool = False) -> Any:
        """Wait for tensorstore, checking every quarter of a second whether the dataset was closed."""
        until = (
            time.monotonic() + max(_SLOWEST_START_S, 3 * self._tree.stall_s) + pixels / SLOWEST_BYTES_PER_S
        )
        if not self.remote:  # local reads finish soon and are worth keeping
            return self._waited(future, array, until, to_its_end=to_its_end)
        with _in_current_scope(future, array):
            return self._waited(future, array, until)

    def _waited(self, future: Any, array: str, until: float, *, to_its_end: bool = False) -> Any:
        try:
            while not future.done():
                if (self._closed.is_set() and not to_its_end) or is_ending():
                    future.cancel()
                    break
                if self.remote and time.monotonic() > until:
                    future.cancel()
                    # the request may go on, and in the same context a later read of the chunk waits for it
                    self.renew()
                    raise ReadTimeoutError(f"reading {array} timed out: the network may be slow or busy")
                with contextlib.suppress(TimeoutError):
                    return future.result(timeout=_POLL_SECONDS)
            else:
                return future.result()
        except ReadTimeoutError:
            raise
        except (*REFUSALS, TimeoutError) as error:
            self._raise_meaning(error, array)
        raise closed_error()

    def _raise_meaning(self, error: Exception, array: str) -> None:
        meaning = read_error(error, array, remote=self.remote)
        if isinstance(meaning, RedirectedError):
            self._tree.follow(meaning.url)
            meaning = StoreChangedError(f"{array} was redirected")
        raise meaning from error


def _is_of(store: ts.TensorStore, image: ZarrImage) -> bool:
    """Whether an array, whose metadata tensorstore has read, is the described one, which may have grown."""
    facts = image.facts
    if store.chunk_layout.write_chunk.shape != chunks_of(image).stored or store.rank != len(facts.shape):
        return False
    is_same_type = store.dtype.name in WIDENED or store.dtype.numpy_dtype == facts.dtype
    return is_same_type and all(
        now == was if axis.role in ("y", "x") else now >= was
        for axis, was, now in zip(image.axes, facts.shape, store.shape, strict=True)
    )


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


def plain_metadata(image: ZarrImage, document: JsonObject | None = None) -> JsonObject:
    """The metadata of an array that tensorstore needs, or of `document`; it might reject the rest."""
    document = document or image.document
    if not is_usual(image.document.get("fill_value")):
        document = {**document, "fill_value": as_json(image.fill_value)}
    if image.facts.version == 2:
        return {name: document[name] for name in _V2_FIELDS if name in document}
    return {name: value for name, value in document.items() if name not in _V3_PROSE}


def traffic() -> tuple[int, int]:
    """The number of requests tensorstore has sent in this process, and of bytes received."""
    import tensorstore as ts

    said = {m["name"]: m["values"] for m in ts.experimental_collect_matching_metrics("/tensorstore/http/")}
    requests = sum(int(each["value"]) for each in said.get("/tensorstore/http/request_started", ()))
    sizes = said.get("/tensorstore/http/response_bytes", ())
    return requests, round(sum(each["mean"] * each["count"] for each in sizes))


def delivered(pixels: np.ndarray, image: ZarrImage) -> np.ndarray:
    """`pixels` in the dtype of the image."""
    return pixels if pixels.dtype == image.facts.dtype else pixels.astype(image.facts.dtype, order="K")
