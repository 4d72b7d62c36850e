"""What writers do between two moments, step by step: half a file, a shard without its index, a folder that is
gone.

``python -m tests.live_writers.traps TRAP PATH`` takes a step, says what holds now, and waits for a line on
standard input before it takes the next one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stamps import Stamp, stamped

from .by_pillow import PngFilesWriter
from .by_tensorstore import TensorStoreWriter
from .by_tifffile import FilesWriter
from .plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Pause = Callable[[str], None]


def _made(kind: type, planes: int, run: int = 0, dtype: str = "uint16", **options: Any) -> Path:
    """A whole dataset of so many time points, elsewhere."""
    path = Path(tempfile.mkdtemp(prefix="ndviewer-made-"), "made")
    plan = Plan(planes, dtype=dtype, run=run)
    writer = kind(path, plan, **options)
    writer.begin()
    for index in plan.indices():
        writer.write(index, stamped(Stamp(*index, run), plan.height, plan.width, dtype))
    writer.end()
    return path


def _copy(source: Path, target: Path, *names: str) -> None:
    """Copy these files from one dataset to another; all of them if none is named."""
    for name in names or [str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def _in_halves(source: Path, target: Path, between: Callable[[], None]) -> None:
    """Write a file in place, as a program that does not think of readers."""
    content = source.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        between()
        file.write(content[len(content) // 2 :])


_ARRAY, _GROUP = "0/zarr.json", "zarr.json"
_CHUNK_2, _SHARD_0 = "0/c/2/0/0/0/0", "0/c/0/0/0/0/0"


def torn_array_metadata(path: Path, pause: Pause) -> None:
    """The array grows from two time points to three; its ``zarr.json`` is written in two halves."""
    _copy(_made(TensorStoreWriter, 2), path)
    pause("two")
    larger = _made(TensorStoreWriter, 3)
    _copy(larger, path, _CHUNK_2)
    _in_halves(larger / _ARRAY, path / _ARRAY, lambda: pause("torn"))
    pause("three")


def torn_group_metadata(path: Path, pause: Pause) -> None:
    """The ``zarr.json`` of the group comes last, in two halves."""
    made = _made(TensorStoreWriter, 2)
    _copy(made, path, _ARRAY, *(f"0/c/{t}/0/0/0/0" for t in range(2)))
    _in_halves(made / _GROUP, path / _GROUP, lambda: pause("torn"))
    pause("two")


def shard_in_place(path: Path, pause: Pause) -> None:
    """A shard with its index at the end is written anew in place, while it is read."""
    _copy(_made(TensorStoreWriter, 2, shard_t=4), path)
    pause("two")
    larger = _made(TensorStoreWriter, 4, shard_t=4)
    _copy(larger, path, _ARRAY)
    pause("four announced")
    _in_halves(larger / _SHARD_0, path / _SHARD_0, lambda: pause("half a shard"))
    pause("four")


def chunk_in_halves(path: Path, pause: Pause, compressed: bool = True) -> None:
    """The chunk of the third time point is there, at first only its half."""
    _copy(_made(TensorStoreWriter, 2, compressed=compressed), path)
    pause("two")
    larger = _made(TensorStoreWriter, 3, compressed=compressed)
    _copy(larger, path, _ARRAY)
    _in_halves(larger / _CHUNK_2, path / _CHUNK_2, lambda: pause("half a chunk"))
    pause("three")


def raw_chunk_in_halves(path: Path, pause: Pause) -> None:
    """The same without compression, where half a chunk is still pixels."""
    chunk_in_halves(path, pause, compressed=False)


def image_in_halves(path: Path, pause: Pause, kind: type = FilesWriter, dtype: str = "uint16") -> None:
    """A folder of images, of which the third is there, at first only its half."""
    _copy(_made(kind, 2, dtype=dtype), path)
    pause("two")
    name = f"img_t002.{kind.suffix}"  # type: ignore[attr-defined]
    _in_halves(_made(kind, 3, dtype=dtype) / name, path / name, lambda: pause("half an image"))
    pause("three")


def png_in_halves(path: Path, pause: Pause) -> None:
    """The same with PNG files."""
    image_in_halves(path, pause, PngFilesWriter, "uint8")


def chunk_by_renaming(path: Path, pause: Pause) -> None:
    """A chunk is written under other names, as tensorstore and zarr-python do, and then gets its own."""
    _copy(_made(TensorStoreWriter, 2), path)
    pause("two")
    larger = _made(TensorStoreWriter, 3)
    _copy(larger, path, _ARRAY)
    chunk = path / _CHUNK_2
    chunk.parent.mkdir(parents=True)
    content = (larger / _CHUNK_2).read_bytes()
    lock = chunk.with_name("0.__lock")
    lock.write_bytes(content)
    partial = chunk.with_name("0.1b2c3d.partial")
    partial.write_bytes(content[: len(content) // 2])
    pause("other names")
    lock.rename(chunk)
    pause("three")
    partial.unlink()


def image_by_renaming(path: Path, pause: Pause) -> None:
    """An image is written under other names, and then gets its own."""
    _copy(_made(FilesWriter, 2), path)
    pause("two")
    content = (_made(FilesWriter, 3) / "img_t002.tif").read_bytes()
    others = [path / name for name in ("img_t002.tif.part", ".img_t002.tif", "tmp8c1x.tif~")]
    for other in others:
        other.write_bytes(content[: len(content) // 2])
    pause("other names")
    others[0].write_bytes(content)
    others[0].rename(path / "img_t002.tif")
    pause("three")


def removed_and_made_again(path: Path, pause: Pause) -> None:
    """A store is removed, and another run makes a longer one of the same name."""
    _copy(_made(TensorStoreWriter, 2), path)
    pause("two")
    shutil.rmtree(path)
    pause("gone")
    _copy(_made(TensorStoreWriter, 3, run=1), path)
    pause("three of another run")


def overwritten_images(path: Path, pause: Pause) -> None:
    """Another run writes into the same folder, over the images of the first."""
    _copy(_made(FilesWriter, 2), path)
    pause("two")
    _copy(_made(FilesWriter, 3, run=1), path)
    pause("three of another run")


def overwritten_chunks(path: Path, pause: Pause) -> None:
    """Another run writes into the same store, over the chunks of the first."""
    _copy(_made(TensorStoreWriter, 2), path)
    pause("two")
    larger = _made(TensorStoreWriter, 3, run=1)
    _copy(larger, path, *(f"0/c/{t}/0/0/0/0" for t in range(3)), _ARRAY)
    pause("three of another run")


TRAPS: dict[str, Callable[[Path, Pause], None]] = {
    trap.__name__: trap
    for trap in (
        torn_array_metadata,
        torn_group_metadata,
        shard_in_place,
        chunk_in_halves,
        raw_chunk_in_halves,
        image_in_halves,
        png_in_halves,
        chunk_by_renaming,
        image_by_renaming,
        removed_and_made_again,
        overwritten_images,
        overwritten_chunks,
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.live_writers.traps", description=__doc__)
    parser.add_argument("trap", choices=TRAPS)
    parser.add_argument("path", type=Path)
    options = parser.parse_args(arguments)
    tempfile.tempdir = tempfile.mkdtemp(prefix="ndviewer-trap-")
    try:
        TRAPS[options.trap](options.path, _say_and_wait)
    finally:
        shutil.rmtree(tempfile.tempdir)
    return 0


def _say_and_wait(state: str) -> None:
    sys.stdout.write(state + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    sys.exit(main())
