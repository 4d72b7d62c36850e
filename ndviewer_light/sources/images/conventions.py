"""Naming conventions of instruments and programs. Data only; see `patterns` for the syntax.

A pattern describes how a name *ends*: its prefix (a folder, the name of a plate) is analysed
as in `numbering`. The first that explains all files wins, so more specific ones come first.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Convention(NamedTuple):
    """Who names files so, and how.

    `zero_based` are roles that always count from 0: other names are not of this convention. Nor are those of
    which none has its `sign`, where others may name files so as well.
    """

    name: str
    patterns: tuple[str, ...]
    zero_based: tuple[str, ...] = ()
    sign: re.Pattern[str] | None = None


_SQUIDS = re.compile(
    r"(?:.*/)?(?:(?:[A-Z]{1,2}[0-9]{1,2}|current|manual[0-9]*|region[ _]?[0-9]*)_[0-9]+_[0-9]+_.*[^0-9].*"
    r"|.*_[0-9]+_[0-9]+_(?:.*_nm_Ex.*|BF_.*|Fluorescence.*|.*LED_matrix.*))"
)
"""A well or another region as Squid calls them, and no number as channel; or a channel of Squid's."""

PARTS = re.compile(
    r"(?:TimePoint|ZStep|Pos|XY|T|field|chamber|slide|cyc)[ _-]{0,2}[A-Z]?[0-9]{1,9}(?:[_-].*)?"
    r"|[A-P][0-9]{1,2}-Site_[0-9]+",
    re.IGNORECASE,
)
"""Folders in which instruments keep a part of a set; the whole is in the folder around them."""
SQUIDS = "Squid (images alone)"

CONVENTIONS = (
    Convention("Micro-Manager 2", ("img_channel{c:d}_position{fov:d}_time{t:d}_z{z:d}",)),
    Convention(
        "Micro-Manager 1.4",
        (
            "{:d}-Pos<_>{region:3d}_{fov:3d}/img_{t:9d}_{c}_{z:3d}",
            "img_{t:d}_{c}_{z:d}",
            "img_{t:9d}__{z:3d}",
        ),
    ),
    Convention("Opera Phenix, Operetta", ("r{row:2d}c{col:2d}f{fov:d}p{z:d}*-ch{c:d}sk{t:d}fk{:d}fl{:d}",)),
    Convention("Operetta, Columbus (old)", ("{row:3d}{col:3d}-{fov:d}-{z:3d}{t:3d}{c:3d}",)),
    Convention(
        "CellVoyager CV7000, CV8000",
        (
            "{well:well}_T{t:4d}F{fov:3d}L{:2d}A{:2d}Z{z:2d}C{c:2d}",
            "{well:well}_T{t:4d}F{fov:3d}L{:2d}A{:2d}Z{z:2d}C{c:2d}_*",
            "{well:well}_T{t:4d}F{fov:3d}L{day:2d}A{:2d}Z{z:2d}C{c:2d}",
        ),
    ),
    Convention("CellVoyager CQ1, CQ3000", ("W{wellnumber:4d}F{fov:4d}T{t:4d}Z{z:3d}C{c:d}",)),
    Convention(
        "ImageXpress, MetaXpress",
        (
            "{well:well}<_s{fov:d}>_w{c:d}<_z{z:d}><_t{t:d}><{uuid}>",
            "{well:well}<_s{fov:d}><_z{z:d}><_t{t:d}>{uuid}",
            "{well:well}_s{fov:d}<_z{z:d}><_t{t:d}>",
        ),
    ),
    Convention(
        "InCell",
        (
            "{well:well}(fld {fov:d} wv {c}< z {z:d}><<-> time {t:d}><< >- {:d}< >ms>)",
            "{well:well}(fld {fov:d}< z {z:d}><<-> time {t:d}><< >- {:d}< >ms>)",
        ),
    ),
    Convention(
        "ScanR",
        (
            "{well:well}--W{:5d}--P{fov:5d}--Z{z:5d}--T{t:5d}--{c}",
            "W{wellnumber:5d}--P{fov:5d}--Z{z:5d}--T{t:5d}--{c}",
        ),
    ),
    Convention("IncuCyte", ("{well:well}_{fov:d}_{t:time}", "{well:well}_{t:time}")),
    Convention(
        "CODEX (Akoya)",
        ("cyc{t:3d}_reg{region:3d}/{:d}_{fov:5d}_Z{z:3d}_CH{c:d}", "cyc{t:3d}/{:d}_{fov:5d}_Z{z:3d}_CH{c:d}"),
    ),
    Convention(
        "TeraStitcher, SmartSPIM",
        (
            "{region:6d}/{region}_{fov:6d}/{region}_{fov}_{z:6d}",
            "{region:6d}/{region}_{fov:6d}/{z:6d}",
        ),
    ),
    Convention(
        "Keyence BZ-X",
        (
            "T{t:4d}_XY{region:2d}_{fov:5d}<_Z{z:d}>_CH{c:d}",
            "XY{region:2d}_{fov:5d}<_Z{z:d}>_CH{c:d}",
            "T{t:4d}_XY{fov:2d}_<Z{z:d}_>CH{c:d}",
            "T{t:4d}_Z{z:3d}_CH{c:d}",
            "XY{fov:2d}_<Z{z:d}_>CH{c:d}",
        ),
    ),
    Convention(
        "Cytation, Lionheart (Gen5)",
        (
            "{well:well}_{:f}_SP{fov:d}<Z{z:d}>_C{:d}_{c}_T{t:3d}",
            "{well:well}_{:f}_{:d}_{fov:d}<Z{z:d}>_{c}_{t:3d}",
            "{well:well}_{plate:f}_{:d}_{fov:d}<Z{z:d}>_{c}_{t:3d}",
        ),
    ),
    Convention("ThorImage", ("{c:ChanA|ChanB|ChanC|ChanD}_{region:3d}_{fov:3d}_{z:3d}_{t:3d}",)),
    Convention(
        "EVOS",
        (
            "Plate_?_p{t:2d}_z{z:2d}_{:d}_{well:well}f{fov:2d}d{c:d}",
            "Plate_?_p{t:2d}_{:d}_{well:well}f{fov:2d}d{c:d}",
        ),
    ),
    Convention("CellInsight, ArrayScan", ("{well:well}f{fov:2d}d{c:d}",)),
    Convention(
        "Leica Matrix Screener",
        (
            "image--L{:d}--S{:d}--U{col0:d}--V{row0:d}--J{:d}--E{:d}--O{:d}--{fov}--T{t:d}--Z{z:d}--C{c:d}",
            "image--L{:d}--S{plate:d}--U{col0:d}--V{row0:d}--J{:d}--E{:d}--O{:d}--{fov}--T{t:d}--Z{z:d}--C{c:d}",
        ),
    ),
    Convention(
        "PrairieView",
        (
            "TSeries-*_Cycle{:5d}_Ch{c:d}_{t:6d}",
            "Cycle{t:5d}_Ch{c:d}_{z:6d}",
        ),
    ),
    Convention(
        "ZEN (tiles)",
        (
            "<b{:d}><s{fov:d}><t{t:d}><z{z:d}><c{c:d}>x{:d}-{:d}y{:d}-{:d}",
            "<b{:d}><t{t:d}><s{fov:d}><z{z:d}><c{c:d}>x{:d}-{:d}y{:d}-{:d}",
        ),
    ),
    Convention(
        "NIS-Elements JOBS",
        (
            "Well{well:well}_Point{:well}_{fov:4d}_Channel{c}_Seq{:d}",
            "Well{well:well}_Point{:well}_{fov:4d}_Channel{c}_Seq{t:d}",
            "Well{well:well}_Channel{c}_Seq{t:d}",
        ),
    ),
    Convention("Human Protein Atlas", ("{plate:d}_{well:well}_{fov:d}_{c:blue|red|green|yellow}",)),
    Convention(
        "MetaMorph",
        (
            "_w{:0..9}{c:3d}<_s{fov:d}><_t{t:d}>",
            "_w{c:d}<_s{fov:d}><_t{t:d}>",
            "_w{:0..9}<->{c}<_s{fov:d}><_t{t:d}>",
        ),
    ),
    Convention(
        SQUIDS,
        ("{t:d}/{region}_{fov:d}_{z:d}_{c}", "{region}_{fov:d}_{z:d}_{c}"),
        zero_based=("fov", "z"),
        sign=_SQUIDS,
    ),
)
