#!/usr/bin/env python3
"""Sorts recordings of 20 seconds, and prints how many got into the right folder, with each pool and way.

    bench/sorting/run.py --data DIR --work WORK [--model M]...

DIR has ESC-10 as foldK/CLASS/*.wav. Recordings are made of fold 4: of each class's eight clips, four in a row,
beginning with each. Without --model, a model is trained on folds 1 to 3, of which the first clip of each class and fold
chooses the epoch, by the recipe of bench/pinets/NOTES.md. WORK keeps data and models. train and classify are taken from
PATH.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import wave

RECIPE = ("--in-context 0 --arch pi-relu --stem 32:5:1:2 --stages 48:1:5:2:2,64:1:5:1:2,96:1:5:0:2 "
          "--augment speech --mixup 0.3 --epochs 200").split()


def clips(folder):
    """Returns the clips of a fold by class."""
    return {c.name: sorted(c.glob("*.wav")) for c in sorted(folder.iterdir()) if c.is_dir()}


def lay_out(data, work):
    """Makes links to folds 1 to 3 in train/CLASS and valid/CLASS."""
    for fold in ("fold1", "fold2", "fold3"):
        for name, paths in clips(data / fold).items():
            for i, path in enumerate(paths):
                link = work / "data" / ("train" if i else "valid") / name / path.name
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(path)
    return work / "data"


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
    p.add_argument("--model", type=pathlib.Path, action="append")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    data, work = a.data.resolve(), a.work.resolve()
    if not a.model:
        model = work / f"seed{a.seed}.safetensors"
        if not model.exists():
            command = ["train", "fit", "--data", lay_out(data, work), *RECIPE, "--seed", str(a.seed), "--out", model]
            subprocess.run(command, check=True)
        a.model = [model]
    n = record(data, work / "recordings")
    columns = [(way, pool) for way in ("clip", "events") for pool in ("mean", "max", "share")]
    print("| model | " + " | ".join(f"`--as {way} --pool {pool}`" for way, pool in columns) + " |")
    print("| --- " * 7 + "|")
    for model in a.model:
        row = []
        for way, pool in columns:
            right = sort(work / "recordings", model, work, "--as", way, "--pool", pool)
            row.append(f"{right} of {n}, {100 * right / n:.1f} %")
        print(f"| {model.stem} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
