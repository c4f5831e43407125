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


def commands(data, folder, rng):
    """The 17 words of Speech Commands' subset, split as its lists say."""
    data = data / "speech_commands"
    lists = {name: (data / name).read_text().split() for name in ("validation_list.txt", "testing_list.txt")}
    test = set(lists["testing_list.txt"])
    for word in "zero one two three four five eight up down left right go yes no on off stop".split():
        files = sorted((data / word).glob("*.wav"))
        link([f for f in files if f"{word}/{f.name}" in test], folder / "heldout" / word)
        link([f for f in files if f"{word}/{f.name}" not in test], folder / "train" / word)
    train = folder / "train"
    (train / "validation_list.txt").write_text("\n".join(
        line for line in lists["validation_list.txt"] if (train / line).exists()) + "\n")


SETS = {
    "commands": Kind("17 words of Speech Commands, some 8,000 training clips, 600 steps", commands),
    "esc10": Kind("ESC-10, ten kinds of sounds of 5 s: folds 1-3, in one folder, to 4", esc10(False)),
    "esc10folds": Kind("ESC-10 in folders fold1, fold2 and fold3, to fold 4", esc10(True)),
    "words10": Kind("yes, no and stop, 10 clips each", words({"yes": 10, "no": 10, "stop": 10})),
    "words10b": Kind("left, stop and yes, 10 clips each", words({"left": 10, "stop": 10, "yes": 10})),
    "rare10": Kind("happy, house and tree, 10 clips each", words({"happy": 10, "house": 10, "tree": 10})),
    "long10": Kind("marvin, seven and sheila, 10 clips each", words({"marvin": 10, "seven": 10, "sheila": 10})),
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
RECIPE, FROM_BASE = ["-recipe"], ["-recipe", "-from", "base"]
ALONE = {"context": {"share": 0, "before": 1.5, "after": -1, "fluent": 0.3}}
FEW = {"net": SMALL, "epochs": 0, "steps": 500, "mixup": 0.3, "keep_last": True, **ALONE}
FROM = {"steps": 200, **ALONE}
QUICK = {"rate": 0.05, "steps": 1200}
VARIANTS = {
    "default": ([], {}),
    "recipe": (RECIPE, {}),
    "recipe-base": (FROM_BASE, {}),
    "pi-600": (RECIPE, {"steps": 600, "net": {"block": "pi"}}),
    "pi-relu-600": (RECIPE, {"steps": 600}),
    "small-600": (RECIPE, {"steps": 600, "net": SMALL}),
    "s500": (SPEECH, {**FEW, "keep_last": False}),
    "s500-last": (SPEECH, FEW),
    "s1000": (SPEECH, {**FEW, "steps": 1000, "keep_last": False}),
    "lr05": (SPEECH, {**FEW, "rate": 0.05}),
    "b24": (SPEECH, {**FEW, "batch": 24}),
    "few-a": (RECIPE, {**QUICK, **ALONE}),
    "few-b": (RECIPE, {**QUICK, **ALONE, "augment": {"speed": 0.25, "shift": 0.2}}),
    "few-c": (RECIPE, QUICK),
    "few-d": (RECIPE, {**QUICK, **ALONE, "mixup": 1}),
    "few-e": (RECIPE, {**QUICK, **ALONE, "decay": 0.005, "augment": {"speed": 0.25}}),
    "few-h": (RECIPE, {"rate": 0.1, "steps": 2000}),
    "few-i": (RECIPE, {"rate": 0.05, "steps": 3000, "augment": {"speed": 0.2}}),
    "few-j": (RECIPE, {"features": {"mels": 24}}),
    "few-k": (RECIPE, {"ema": 0.99, "smoothing": 0.2}),
    "few-l": (RECIPE, {"batch": 24, "rate": 0.1}),
    "base-kept": (FROM_BASE, FROM),
    "base-kept-1": (FROM_BASE, {**FROM, "from_rate": 0.01}),
    "base-new": (FROM_BASE, {**FROM, "from_norms": False}),
}
