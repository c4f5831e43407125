#!/usr/bin/env python3
"""Sorts recordings of 20 seconds, and prints how many got into the right folder.

    bench/sorting/run.py --data DIR --work WORK [--seeds N] [--model M]... [--all]

DIR has ESC-10 as foldK/CLASS/*.wav. Recordings are made of fold 4: of each class's eight clips, four in a row,
beginning with each. Without --model, models are trained on the other folds as `train fit` does by itself. --all tries
each pool and way, and not only what `classify --sort` does by itself. WORK keeps the models. train and classify are
taken from PATH.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import wave


def clips(folder):
    """Returns the clips of a fold by class."""
    return {c.name: sorted(c.glob("*.wav")) for c in sorted(folder.iterdir()) if c.is_dir()}


def record(data, folder):
    """Writes the recordings, CLASS-N.wav, into one folder. Returns how many there are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, paths in clips(data / "fold4").items():
        for i in range(len(paths)):
            with wave.open(str(folder / f"{name}-{i}.wav"), "wb") as out:
                out.setparams((1, 2, 16000, 0, "NONE", ""))
                for path in (paths + paths)[i:i + 4]:
                    with wave.open(str(path)) as clip:
                        out.writeframes(clip.readframes(clip.getnframes()))
    return len(list(folder.iterdir()))


def sort(recordings, model, work, *flags):
    """Returns how many recordings were sorted right."""
    folder = work / "sorted"
    shutil.rmtree(folder, ignore_errors=True)
    command = ["classify", "--model", model, "--sort", folder, "--link", *flags, recordings]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return sum(re.sub(r"-\d+$", "", path.stem) == path.parent.name for path in folder.glob("*/*.wav"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--work", type=pathlib.Path, required=True)
    p.add_argument("--model", type=pathlib.Path, action="append", default=[])
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--all", action="store_true")
    a = p.parse_args()
    data, work = a.data.resolve(), a.work.resolve()
    if not a.model:
        a.model = [work / f"seed{seed}.safetensors" for seed in range(1, a.seeds + 1)]
        for seed, model in enumerate(a.model, 1):
            if not model.exists():
                command = ["train", "fit", "--data", data, "--test-fold", "4", "--seed", str(seed), "--out", model]
                subprocess.run(command, check=True)
    n = record(data, work / "recordings")
    columns = [[]]
    if a.all:
        columns = [["--as", way, "--pool", pool] for way in ("clip", "events") for pool in ("mean", "max", "share")]
    print("| model | " + " | ".join(f"`{' '.join(['--sort', *flags])}`" for flags in columns) + " |")
    print("| --- " * (1 + len(columns)) + "|")
    for model in a.model:
        row = [sort(work / "recordings", model, work, *flags) for flags in columns]
        print(f"| {model.stem} | " + " | ".join(f"{k} of {n}, {100 * k / n:.1f} %" for k in row) + " |", flush=True)


if __name__ == "__main__":
    main()
