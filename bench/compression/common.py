"""What the scripts beside this file share."""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pinets"))
from run import ROOT, build, call  # noqa: E402,F401


def parser(text):
    """Returns a parser of a script's command line, with the options that all have; text is what the script does."""
    p = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", metavar="DIR")
    p.add_argument("--work", type=pathlib.Path, required=True)
    p.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[1, 2, 3])
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--write", action="store_true")
    p.add_argument("--out", type=pathlib.Path, default=HERE)
    return p


def options(p):
    """Returns the options of the command line, whose folders are then there."""
    o = p.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    o.out.mkdir(parents=True, exist_ok=True)
    if not o.write and o.data is None:
        p.error("--data says where the recordings are")
    return o


def done(files):
    """Returns what the JSON files hold, of those that are there."""
    return [json.loads(f.read_text()) for f in files if f.exists()]


def line(cells):
    """Returns a line of a table."""
    return "| " + " | ".join(cells) + " |"


def record(path, run):
    """Makes a JSON file of what run returns, unless it is there."""
    if path.exists():
        return
    print(path.stem, file=sys.stderr, flush=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(run(), indent=1))
    partial.replace(path)


def links(folder, data, words):
    """Makes a folder of links to some words of the data and to its lists, unless it is there, and returns it."""
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        for name in (*words, "validation_list.txt", "testing_list.txt"):
            source, link = pathlib.Path(data).resolve() / name, partial / name
            if source.exists() and not link.is_symlink():
                link.symlink_to(source)
        partial.replace(folder)
    return folder


def part(folder, data, every):
    """Makes a folder of links to every so manyth training clip of each word and to all validation clips, unless it is
    there, and returns it."""
    if not folder.exists():
        partial, data = folder.with_suffix(".partial"), pathlib.Path(data).resolve()
        shutil.rmtree(partial, ignore_errors=True)
        lists = [set((data / f"{name}_list.txt").read_text().split()) for name in ("validation", "testing")]
        for word in (d for d in sorted(data.iterdir()) if d.is_dir() and d.name[0] != "_"):
            (partial / word.name).mkdir(parents=True)
            names = sorted(f"{word.name}/{clip.name}" for clip in word.glob("*.wav"))
            train = [name for name in names if not any(name in known for known in lists)]
            for name in train[::every] + [name for name in names if name in lists[0]]:
                (partial / name).symlink_to(data / name)
        (partial / "validation_list.txt").symlink_to(data / "validation_list.txt")
        if (data / "_background_noise_").exists():
            (partial / "_background_noise_").symlink_to(data / "_background_noise_")
        partial.replace(folder)
    return folder


def spread(values, digits=2):
    """Returns the mean, and the least and most where there are several."""
    text = f"{statistics.mean(values):.{digits}f}"
    return text + (f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else "")


def draw(path, x, y, lines):
    """Draws lines of points (x, y, low, high)."""
    figures = {"x": x, "y": y, "lines": [{"name": n, "points": p} for n, p in lines.items()]}
    call("go", "run", "./bench/compression/plot", path.resolve(), input=json.dumps(figures), cwd=ROOT)
