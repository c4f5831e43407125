"""The kinds of data, and the settings that are compared on them."""
import collections
import dataclasses
import typing


@dataclasses.dataclass
class Kind:
    what: str
    make: typing.Callable  # (data, folder, random): makes folder/train and folder/heldout


def link(files, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())


def words(counts, held=100):
    """Clips of words, one of each speaker where that can be, and as many of other speakers."""
    def make(data, folder, rng):
        speakers = {}  # of a word, the clips of each
        for word in counts:
            clips = collections.defaultdict(list)
            for file in sorted((data / "speech_commands" / word).glob("*.wav")):
                clips[file.name.split("_nohash_")[0]].append(file)
            speakers[word] = clips
        everyone = sorted(set().union(*speakers.values()))
        rng.shuffle(everyone)
        taken = set()
        for word, count in counts.items():
            those = [s for s in everyone if s in speakers[word]]
            chosen = [(s, f) for k in range(9) for s in those for f in speakers[word][s][k:k + 1]][:count]
            taken |= {s for s, _ in chosen}
            link([f for _, f in chosen], folder / "train" / word)
        for word in counts:
            others = [f for s in everyone if s not in taken for f in speakers[word].get(s, [])]
            rng.shuffle(others)
            link(others[:held], folder / "heldout" / word)
    return make


def esc10(folds):
    """Folds 1 to 3 as folders fold1, fold2 and fold3, or in one folder, of which a tenth is kept for the test."""
    def make(data, folder, rng):
        for fold in (1, 2, 3, 4):
            train = folder / "train" / f"fold{fold}" if folds else folder / "train"
            for label in sorted((data / "esc10" / f"fold{fold}").iterdir()):
                link(sorted(label.glob("*.wav")), (folder / "heldout" if fold == 4 else train) / label.name)
    return make


SETS = {
    "esc10": Kind("ESC-10, ten kinds of sounds of 5 s: folds 1-3, in one folder, to 4", esc10(False)),
    "esc10folds": Kind("ESC-10 in folders fold1, fold2 and fold3, to fold 4", esc10(True)),
    "words10": Kind("yes, no and stop, 10 clips each", words({"yes": 10, "no": 10, "stop": 10})),
    "words10b": Kind("left, stop and yes, 10 clips each", words({"left": 10, "stop": 10, "yes": 10})),
    "rare10": Kind("happy, house and tree, 10 clips each", words({"happy": 10, "house": 10, "tree": 10})),
    "uneven": Kind("300 clips of up, 10 of go", words({"up": 300, "go": 10})),
    "two100": Kind("two words of 100 clips", words({"left": 100, "right": 100})),
    "digits40": Kind("seven digits of 40 clips, a closed set", words(dict.fromkeys(
        ["zero", "one", "two", "three", "four", "five", "nine"], 40))),
}

SMALL = {"block": "pi-relu", "stem": {"Width": 32, "Kernel": 5, "Ahead": 1, "Stride": 2}, "dropout": 0.15, "stages": [
    {"Width": 48, "Blocks": 1, "Kernel": 5, "Ahead": 2, "Stride": 2},
    {"Width": 64, "Blocks": 1, "Kernel": 5, "Ahead": 1, "Stride": 2},
    {"Width": 96, "Blocks": 1, "Kernel": 5, "Ahead": 0, "Stride": 2}]}

SPEECH = ["-augment", "speech"]
ALONE = {"context": {"share": 0, "before": 1.5, "after": -1, "fluent": 0.3}}
BASE = ["-augment", "speech", "-from", "base"]
FROM = {"epochs": 0, "steps": 200, "mixup": 0.3, "keep_last": True, **ALONE}
FEW = {"net": SMALL, "epochs": 0, "steps": 500, "mixup": 0.3, "keep_last": True, **ALONE}
VARIANTS = {
    "default": ([], {}),
    "recipe": (["-recipe"], {}),
    "recipe-base": (["-recipe", "-from", "base"], {}),
    "recipe-small": (["-recipe", "-from", "small"], {}),
    "few-a": (["-recipe"], {"rate": 0.05, "steps": 1200}),
    "few-b": (["-recipe"], {"rate": 0.05, "steps": 1200, "augment": {"speed": 0.25, "shift": 0.2}}),
    "few-c": (["-recipe"], {"rate": 0.05, "steps": 1200, "context": {"share": 0.5}}),
    "few-d": (["-recipe"], {"rate": 0.05, "steps": 1200, "mixup": 1}),
    "few-e": (["-recipe"], {"rate": 0.05, "steps": 1200, "decay": 0.005, "augment": {"speed": 0.25}}),
    "few-f": (["-recipe"], {"rate": 0.05, "steps": 1200, "net": {"dropout": 0.4}, "mask": {"TimeMasks": 3, "MaxTime": 20, "FreqMasks": 3, "MaxFreq": 8}}),
    "few-h": (["-recipe"], {"rate": 0.1, "steps": 2000, "context": {"share": 0.5}}),
    "few-i": (["-recipe"], {"rate": 0.05, "steps": 3000, "context": {"share": 0.5}, "augment": {"speed": 0.2}}),
    "few-g": (["-recipe"], {"rate": 0.05, "steps": 3000, "augment": {"speed": 0.25, "shift": 0.15}, "batch": 16}),
    "s500": (SPEECH, {**FEW, "keep_last": False}),
    "s500-last": (SPEECH, FEW),
    "s1000": (SPEECH, {**FEW, "steps": 1000, "keep_last": False}),
    "s1000-last": (SPEECH, {**FEW, "steps": 1000}),
    "lr05": (SPEECH, {**FEW, "rate": 0.05}),
    "lr1": (SPEECH, {**FEW, "rate": 0.1}),
    "b24": (SPEECH, {**FEW, "batch": 24}),
    "decay": (SPEECH, {**FEW, "rate": 0.05, "decay": 0.005}),
    "lr05-nomix": (SPEECH, {**FEW, "rate": 0.05, "mixup": 0}),
    "lr05-ctx": (SPEECH, {**FEW, "rate": 0.05, "context": {"share": 0.5, "before": 1.5, "after": -1, "fluent": 0.3}}),
    "s500-bal": (SPEECH, {**FEW, "balance": 1}),
    "base-kept": (BASE, {**FROM, "from_rate": 0.1, "from_norms": True}),
    "base-kept-1": (BASE, {**FROM, "from_rate": 0.01, "from_norms": True}),
    "base-new": (BASE, {**FROM, "from_rate": 0.1}),
    "base-all": (BASE, {**FROM}),
}
