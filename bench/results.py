"""The file bench/RESULTS.md: a head, and a section for each group that keeps its rows until the group runs again."""
from harness import HERE, note

PATH = HERE / "RESULTS.md"
ARM = "arm"  # the section that bench/arm.sh writes
HEAD = """# Results

{machine}

{versions}

A cell is a median and, in brackets, the least and the greatest of the rounds, in which the sides took turns. **A ratio
is polyphon's time divided by the peer's, in the same run: below 1, polyphon is faster.** [README.md](README.md) says
how the peers are configured. This file is written by `bench/run.py`.
"""


def section(title, about, lines, end):
    return "\n".join([f"## {title}", "", about, "", *lines, "", end, ""])


def write(sections, names, machine, versions):
    """Writes the sections (by group's name) and keeps those of other groups, where they are of the same machine and
    peers, and always the last one, bench/arm.sh's."""
    head = HEAD.format(machine=machine, versions=versions)
    kept = {}
    if PATH.exists():
        old_head, *old = PATH.read_text().split("\n<!-- ")
        kept = dict(text.split(" -->\n", 1) for text in old)
        if old_head.strip() != head.strip():
            note("the machine or the versions have changed: rows of other groups are dropped")
            kept = {name: kept[name] for name in kept if name == ARM}
    kept.update(sections)
    parts = [f"<!-- {name} -->\n{kept[name].strip()}\n" for name in (*names, ARM) if name in kept]
    PATH.write_text("\n".join([head, *parts]))
