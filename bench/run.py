#!/usr/bin/python3
"""Installs polyphon's peers, builds everything, lets both sides take turns on this machine, and writes
bench/RESULTS.md.

    bench/run.py --data DIR                    all rows, about 12 minutes on two cores
    bench/run.py --only network,step           some; the others' rows in the table stay
    bench/run.py --quick                       a look at most of them in a minute; writes nothing

DIR has the layout of Google Speech Commands; without it, the groups that need recordings are left out. Needs Linux, Go
and, to install the peers, Debian or a relative of it. Nothing else should run meanwhile. bench/README.md says how to
read the table.
"""
import argparse
import importlib
import pathlib
import shlex
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import peers  # noqa: E402
import results  # noqa: E402
from harness import Failure, Load, note  # noqa: E402

NAMES = ("product", "block", "logmel", "network", "narrow", "stream", "step", "folder", "long", "start", "epoch")
WITH_RECORDINGS = ("folder", "epoch")
NOT_QUICK = ("epoch",)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder of recordings, in the layout of Google Speech Commands")
    parser.add_argument("--only", type=lambda s: s.split(","), metavar="GROUP,...", help="some of: " + " ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds; writes nothing")
    parser.add_argument("--prepare", action="store_true", help="install and build, measure nothing")
    args = parser.parse_args()
    for name in args.only or []:
        if name not in NAMES:
            parser.error(f"there is no group {name!r}; there are {' '.join(NAMES)}")
    if args.data:
        args.data = args.data.resolve()
        if not (args.data / "testing_list.txt").is_file():
            parser.error(f"{args.data} has no testing_list.txt: not the layout of Google Speech Commands")
    return args


def chosen(args):
    """Returns the names of the groups to measure."""
    names = []
    for name in args.only or NAMES:
        if args.quick and name in NOT_QUICK:
            note(f"{name} takes longer than --quick allows")
        elif name in WITH_RECORDINGS and not args.data:
            note(f"{name} needs --data")
        else:
            names.append(name)
    return names


def measure(names, args):
    """Measures the groups and returns a section of the table for each."""
    # Only now, since NumPy may only just have been installed.
    from bench import Bench
    work = pathlib.Path(tempfile.mkdtemp(prefix="polyphon-bench-"))
    sections = {}
    bench = Bench(work, args.quick, args.data)
    try:
        for name in names:
            group = importlib.import_module(f"groups.{name}")
            print(f"\n## {group.TITLE}\n\n{group.ABOUT}", flush=True)
            load = Load(bench.workers)
            lines = group.rows(bench)
            end = f"{load.report()} Commit {peers.commit()}, `{command()}`."
            print(f"\n{end}", flush=True)
            sections[name] = results.section(group.TITLE, group.ABOUT, lines, end)
    finally:
        bench.close()
        shutil.rmtree(work)
    return sections


def command():
    """Returns the command line without where the recordings lie."""
    words, hide = ["bench/run.py"], False
    for word in sys.argv[1:]:
        words.append("DIR" if hide else word)
        hide = word == "--data"
    return shlex.join(words)


def main():
    args = arguments()
    try:
        peers.install()
        peers.build()
        if args.prepare:
            return
        sections = measure(chosen(args), args)
        if not args.quick:
            results.write(sections, NAMES, peers.machine(), peers.versions())
    except Failure as e:
        sys.exit(f"bench/run.py: {e}")


if __name__ == "__main__":
    main()
