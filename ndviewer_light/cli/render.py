"""``ndviewer-light render PATH -o FILE``: pictures, films and planes of a dataset, without a display."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import NDViewerError
from ..model import how_many
from ..opening import open_dataset
from ..rendering.contrast import ContrastMode, FixedLimits
from ..rendering.scale_bar import DEFAULT_BAR, NO_SCALE, BarLook
from ..rendering.volume_look import TURN_FRAMES
from ..storage.offered import ALONE
from ..storage.printable import printable
from ..storage.whole_files import whole_file
from .access_options import storage_options
from .cluster import measuring_on
from .command_parser import is_index
from .linked_view import LinkedLook
from .planes import ALL_THERE, INCOMPLETE
from .render_options import FILMS, MODES, TIFFS, parsed
from .terminal import complain, guarded, say, shown_progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Sequence

    from ..engine.dataset import Dataset
    from ..rendering.contrast import Limits
    from ..rendering.film_frames import Inscription
    from ..rendering.labels_over import LabelsOver
    from ..rendering.pane_pictures import PanePictures
    from ..rendering.scene_overlays import FieldTints, SceneOver
    from ..rendering.view_picture import LayerLook, ShownPlace, ViewPictures, ViewPixels
    from ..rendering.volume_picture import VolumePictures


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns its exit status."""
    return guarded("render", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser, options, ending = parsed(arguments)
    try:
        storage = storage_options(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        with open_dataset(options.path, storage_options={ALONE: "yes", **storage}) as dataset:
            return _render(dataset, options, ending)
    except (NDViewerError, IndexError, KeyError, ValueError, OSError) as error:
        complain("render", str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error))
        return 1


def _render(dataset: Dataset, options: argparse.Namespace, ending: str) -> int:
    if options.overview:
        return _render_overview(dataset, options)
    labels = _labels(dataset, options)
    try:
        return _write(dataset, options, ending, labels)
    finally:
        if labels is not None:
            labels.close()


def _labels(dataset: Dataset, options: argparse.Namespace) -> LabelsOver | None:
    from ..rendering.label_picture import LabelStyle
    from ..rendering.labels_over import LabelsOver

    if not options.labels:
        return None
    return LabelsOver(
        dataset, options.labels, LabelStyle(options.label_style == "outline", options.label_opacity)
    )


def _over(
    dataset: Dataset, options: argparse.Namespace, channels: Sequence[int], times: Sequence[int], z: int | str
) -> SceneOver:
    from ..rendering.label_picture import LabelsChosen, LabelStyle
    from ..rendering.scene_overlays import SceneOver

    labels = None
    if options.labels:
        style = LabelStyle(options.label_style == "outline", options.label_opacity)
        labels = LabelsChosen(options.labels, style)
    tints = _tints(dataset, options, channels, times, z) if options.statistic else None
    return SceneOver(labels, tints)


def _tints(
    dataset: Dataset, options: argparse.Namespace, channels: Sequence[int], times: Sequence[int], z: int | str
) -> FieldTints:
    """The colours of fields by `--statistic`, which are measured as far as they are not known."""
    from ..engine.projections import StackProjection
    from ..rendering.field_statistics import FieldStatistic, measure_fields, statistic_named, tints_of

    named, _, number = options.statistic.rpartition("=")
    c = _channel(dataset, named) if named else channels[0]
    plane = z if isinstance(z, int) else StackProjection.of_text(z).first
    if plane != z:
        complain("render", f"--statistic {options.statistic}: of plane {plane}, not of the projection")
    wanted = FieldStatistic(statistic_named(number).name, c, plane)
    with measuring_on(options.scheduler), shown_progress("measuring") as show:
        measure_fields(dataset, wanted, times, *([] if show is None else [show]))
    return tints_of(dataset, wanted, times)


def _write(dataset: Dataset, options: argparse.Namespace, ending: str, labels: LabelsOver | None) -> int:
    from ..rendering.view_picture import ViewPictures

    places = list(_places(dataset, options, is_film=ending in FILMS))
    linked = LinkedLook(dataset, options.view, options.z)
    channels = _channels(dataset, options.channels, linked)
    mode, limits = _contrast(dataset, channels, options.contrast, linked)
    if options.volume:
        pictures: ViewPictures = _volumes(
            dataset,
            options,
            channels,
            (mode, limits),
            linked,
            labels,
            n_z=dataset.image(places[0].p).n_z,
            is_film=ending in FILMS,
        )
    else:
        part = None if ending in TIFFS else linked.part_of(dataset.image(places[0].p))
        pictures = ViewPictures(
            dataset,
            channels,
            mode=mode,
            limits=limits,
            longest=options.size,
            labels=labels,
            looks=linked.looks,
            part=part,
            legible=bool(options.side_by_side) or _inscription(options).is_any,
        )
    _say_no_bar(dataset, options, {place.p for place in places})
    drawn = pictures if not options.side_by_side else _panes(dataset, options, pictures)
    if ending in TIFFS:
        missing = _write_planes(options.output, dataset, pictures, places[0])
    elif ending in FILMS:
        missing = _write_film(options, dataset, drawn, places)
    else:
        from ..rendering.film_frames import inscribed

        picture, view = inscribed(dataset, drawn, places[0], _inscription(options))
        with whole_file(options.output) as file:
            picture.save(file)
        missing = [*view.missing.values()]
        if not options.size and not options.volume:
            _say_level(view)
    if options.volume:
        _say_resolution(pictures)
    _say_missing(missing)
    say(options.output)
    return INCOMPLETE if missing else ALL_THERE


def _volumes(
    dataset: Dataset,
    options: argparse.Namespace,
    channels: Sequence[int],
    contrast: tuple[ContrastMode, FixedLimits],
    linked: LinkedLook,
    labels: LabelsOver | None,
    *,
    n_z: int,
    is_film: bool,
) -> VolumePictures:
    from ..rendering.volume_look import VOLUMES, VolumeLook
    from ..rendering.volume_picture import VolumePictures
    from ..rendering.volume_rays import FIRST_SIGHT, VolumeSight

    try:
        look = VolumeLook.of_text(options.volume)
    except ValueError:
        ways = ", ".join(how for how, *_ in VOLUMES)
        raise ValueError(f"--volume {options.volume}: expected one of {ways}, or max:2-11") from None
    _counted(look.first, max(n_z, 1), "z plane")
    sight = VolumeSight().tilted(options.tilt or 0.0)
    if options.view is not None and options.tilt is options.turn is None:
        sight = options.view.sight or FIRST_SIGHT
    turns = is_film and options.axis == "turn"
    mode, limits = contrast
    return VolumePictures(
        dataset,
        channels,
        look,
        sight,
        turns=turns,
        mode=mode,
        limits=limits,
        longest=options.size,
        labels=labels,
        looks=linked.looks,
    )


def _panes(dataset: Dataset, options: argparse.Namespace, pictures: ViewPictures) -> PanePictures:
    from ..rendering.pane_pictures import PanePictures

    names = [dataset.info.channels[c].name for c in pictures.channels]
    return PanePictures(pictures, names, in_gray=options.side_by_side == "gray")


def _say_resolution(pictures: ViewPictures) -> None:
    """Say which level a volume was drawn from, where that is not all of it."""
    from ..rendering.volume_picture import VolumePictures

    if isinstance(pictures, VolumePictures) and not pictures.is_whole:
        complain("render", f"drawn from {pictures.resolution}")


def _say_no_bar(dataset: Dataset, options: argparse.Namespace, positions: Collection[int]) -> None:
    """Say that there is no scale bar where one is wanted and no pixel of these positions has a size."""
    inscription = _inscription(options)
    if not (inscription.scale_bar and inscription.bar.share):
        return
    if not any(dataset.info.image(p).pixel_size_um for p in positions):
        complain("render", f"no scale bar: {NO_SCALE}")


def _render_overview(dataset: Dataset, options: argparse.Namespace) -> int:
    from ..rendering.scene_film import write_on_scene
    from ..rendering.scene_picture import render_scene
    from ..rendering.time_stamps import TimeStamps

    info = dataset.look_at_all()  # also the channels that the first field does not have
    linked = LinkedLook(dataset, options.view, options.z)
    channels = _channels(dataset, options.channels, linked)
    mode, limits = _contrast(dataset, channels, options.contrast, linked)
    z = _plane_or_projection(options.z or "0", info.n_z)
    _say_no_bar(dataset, options, range(len(info.positions)))
    if options.output.lower().endswith(FILMS):
        return _film_overview(dataset, options, channels, (mode, limits), linked, z)
    inscription = _inscription(options)
    t, looks = _counted(options.t or 0, info.n_t, "time point"), _looks(dataset, channels, linked)
    over = _over(dataset, options, channels, [t], z)
    found = render_scene(
        dataset,
        channels,
        lambda c: (looks[c].colormap, None),
        t=t,
        z=z,
        size=options.size or 2048,
        mode=mode,
        fixed=limits,
        area=linked.edges_of_overview,
        gamma=lambda c: looks[c].gamma,
        over=over,
        scheduler=options.scheduler,
        labels=options.label or None,
        is_written_on=inscription.timestamp or inscription.scale_bar,
    )
    write_on_scene(found, inscription, TimeStamps(dataset), (t, z), channels, over)
    with whole_file(options.output) as file:
        found.picture.save(file)
    for note in found.notes:
        complain("render", note)
    _say_missing(found.missing)
    say(options.output)
    return INCOMPLETE if found.missing else ALL_THERE


def _film_overview(
    dataset: Dataset,
    options: argparse.Namespace,
    channels: Sequence[int],
    contrast: tuple[ContrastMode, FixedLimits],
    linked: LinkedLook,
    z: int | str,
) -> int:
    from ..rendering.movies import write_movie
    from ..rendering.scene_film import SceneFilm, limits_over, scene_frames

    info, (mode, limits) = dataset.info, contrast
    times = range(_counted(options.t or 0, info.n_t, "time point"), info.n_t)
    looks = _looks(dataset, channels, linked)
    known = limits_over(dataset, channels, limits, mode, times, z)
    over = _over(dataset, options, channels, times, z)
    film = SceneFilm(looks, known, z, options.size or 1024, linked.edges_of_overview, over)
    missing: list[str] = []
    write_movie(
        options.output, scene_frames(dataset, film, times, _inscription(options), missing), options.fps
    )
    _say_missing(missing)
    say(options.output)
    return INCOMPLETE if missing else ALL_THERE


def _looks(dataset: Dataset, channels: Sequence[int], linked: LinkedLook) -> dict[int, LayerLook]:
    from ..rendering.colormaps import colormap_of
    from ..rendering.view_picture import LayerLook

    own = {c: LayerLook(colormap_of(dataset.info.channels[c])) for c in channels}
    return {**own, **{c: look for c, look in linked.looks.items() if c in own}}


def _say_missing(missing: Sequence[str]) -> None:
    for each in missing[:3]:
        complain("render", printable(each))
    if len(missing) > 3:
        complain("render", f"… {len(missing)} planes or stacks are not stored")


def _places(dataset: Dataset, options: argparse.Namespace, *, is_film: bool) -> Iterator[ShownPlace]:
    from ..rendering.view_picture import ShownPlace

    info = dataset.info
    named = str(info.first_position) if options.position is None else options.position
    p = int(named) if is_index(named) else dataset.position_index(named)
    p = _counted(p, len(info.positions), "position")
    image = dataset.image(p)
    t = _counted(options.t or 0, image.n_t, "time point")
    z = _plane_or_projection(options.z or "0", image.n_z)
    turn = options.turn or 0.0
    if not is_film:
        yield ShownPlace(t, p, z, turn)
    elif options.axis == "turn":
        n = options.frames or TURN_FRAMES
        yield from (ShownPlace(t, p, z, 360 * i / n) for i in range(n))
    elif options.axis == "t":
        yield from (ShownPlace(each, p, z, turn) for each in range(t, image.n_t))
    elif options.axis == "p":
        yield from (ShownPlace(t, each, z, turn) for each in range(len(info.positions)))
    else:
        yield from (ShownPlace(t, p, each) for each in range(image.n_z))


def _plane_or_projection(text: str, n_z: int) -> int | str:
    """What `--z` says, also if a stack of `n_z` has a part of it only.

    Raises `ValueError` for nonsense, `IndexError` if it has none of it.
    """
    from ..engine.projections import StackProjection

    if is_index(text):
        return _counted(int(text), n_z, "z plane")
    projection = StackProjection.of_text(text)
    _counted(projection.first, max(n_z, 1), "z plane")
    if projection.last is not None and projection.last >= n_z:
        there = projection._replace(last=n_z - 1)
        complain(
            "render",
            f"--z {text}: there {'is' if n_z == 1 else 'are'} {how_many(n_z, 'plane')}, so it is {there}",
        )
        return str(there)
    return text


def _counted(index: int, size: int, what: str) -> int:
    if not -size <= index < size:
        raise IndexError(f"there is no {what} {index}: there are {size}")
    return index % size


def _channels(dataset: Dataset, wanted: str | None, linked: LinkedLook) -> list[int]:
    channels = dataset.info.channels
    if wanted is None and linked.channels is not None:
        return linked.channels
    if wanted is None:
        return [c for c, channel in enumerate(channels) if channel.visible] or [0]
    return [_channel(dataset, name.strip()) for name in wanted.split(",")]


def _channel(dataset: Dataset, name: str) -> int:
    channels = dataset.info.channels
    if any(channel.name == name for channel in channels) or not is_index(name):
        return dataset.info.channel_index(name)
    return _counted(int(name), len(channels), "channel")


def _contrast(
    dataset: Dataset, channels: Sequence[int], wanted: Sequence[str], linked: LinkedLook
) -> tuple[ContrastMode, FixedLimits]:
    """Mode, and limits that do not follow pixels: those not given are of the usual type of pixels."""
    mode = linked.mode or ContrastMode.RUN
    said = {c: dataset.info.channels[c].window for c in channels}
    known = {c: window for c, window in said.items() if window is not None} | linked.limits
    windows = {(c, ""): window for c, window in known.items()}
    limits: dict[int, Limits] = {}
    for each in wanted:
        name, _, how = each.rpartition("=")
        of = [_channel(dataset, name)] if name else list(channels)
        if how in MODES and not name:
            mode, limits, windows = MODES[how], {}, {}
        elif ":" in how:
            low, high = _two_limits(each, how)
            limits |= dict.fromkeys(of, (low, high))
        else:
            raise ValueError(f"--contrast {each}: expected {', '.join(MODES)} or LOW:HIGH, CHANNEL=LOW:HIGH")
    return mode, FixedLimits(limits, windows)


def _two_limits(option: str, how: str) -> tuple[float, float]:
    try:
        low, high = sorted(float(end) for end in how.split(":"))
    except ValueError:
        raise ValueError(f"--contrast {option}: expected two numbers, LOW:HIGH") from None
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise ValueError(f"--contrast {option}: expected two different, finite numbers, LOW:HIGH")
    return low, high


def _inscription(options: argparse.Namespace) -> Inscription:
    from ..rendering.film_frames import Inscription

    color, size = options.scale_bar_color, options.scale_bar_size
    bar = BarLook(color or DEFAULT_BAR.color, size or DEFAULT_BAR.size)
    return Inscription(options.label, options.timestamp, options.scale_bar or bool(color or size), bar)


def _write_planes(path: str, dataset: Dataset, pictures: ViewPictures, place: ShownPlace) -> list[str]:
    from ..rendering.tiff_export import write_tiff

    view = pictures.pixels(place)
    if not view.pixels:
        raise ValueError(next(iter(view.missing.values()), "this position has none of these channels"))
    _say_level(view)  # whatever size was wanted: they are called the planes
    names = [dataset.info.channels[c].name for c in view.pixels]
    write_tiff(path, list(view.pixels.values()), names, view.um_per_px)
    return list(view.missing.values())


def _say_level(view: ViewPixels) -> None:
    """Say that it is not the data at its full resolution, which is too large."""
    from ..engine.overview import OVERVIEW

    if view.level:
        full = view.image.level.sizes
        what = "an overview" if view.level == OVERVIEW else f"level {view.level}"
        complain("render", f"{what} of {full.y:,} × {full.x:,} pixels, which are too many")


def _write_film(
    options: argparse.Namespace,
    dataset: Dataset,
    pictures: ViewPictures | PanePictures,
    places: Sequence[ShownPlace],
) -> list[str]:
    from ..rendering.film_frames import frames
    from ..rendering.movies import write_movie

    missing: list[str] = []
    pictures.see(places)
    shown = frames(dataset, pictures, places, _inscription(options), missing)
    write_movie(options.output, shown, options.fps)
    return missing
