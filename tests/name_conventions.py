"""How instruments and programs name their files, and what such names mean: all cases, and the table of them.

``python -m tests.name_conventions`` writes the table into docs/formats.md; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path

from ndviewer_light.model import how_many
from tests.names_from_microscopes import MICRO_MANAGER_AND_SQUID, MICROSCOPES
from tests.names_from_plates import PLATES
from tests.names_from_programs import PROGRAMS, WORDS_AND_NUMBERS

FORMATS = Path(__file__).parent.parent / "docs" / "formats.md"
BEGIN, END = "<!-- conventions: begin -->", "<!-- conventions: end -->"

CASES = (*MICRO_MANAGER_AND_SQUID, *PLATES, *MICROSCOPES, *PROGRAMS, *WORDS_AND_NUMBERS)
"""Sorted by who names files so."""


def table() -> str:
    """The cases as a table in Markdown."""
    lines = ["| who names files so | for example | what is understood |", "| --- | --- | --- |"]
    words = {"t": "time", "p": "position", "c": "channel", "z": "z"}
    for case in CASES:
        axes = ", ".join(how_many(n, words[axis], "z" * (axis == "z")) for axis, n in case.sizes.items())
        notes = [axes]
        if case.positions and case.sizes.get("p", 1) > 1:
            notes.append("positions " + ", ".join(f"`{label}`" for label in case.positions[:2]))
        if case.channels:
            notes.append("channels " + ", ".join(f"`{name}`" for name in case.channels[:2]))
        if case.left_out:
            notes.append(f"{how_many(len(case.left_out), 'file')} named as left out")
        if case.is_doubtful:
            notes.append("the other choice is named")
        example = next(name for name in case.names if name not in case.left_out)
        lines.append(f"| {case.convention} | `{example}` | {'; '.join(notes)} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table into the documentation."""
    text = FORMATS.read_text("utf-8")
    head, rest = text.split(BEGIN)
    FORMATS.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
