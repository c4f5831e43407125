"""Trains polyphon's network with PyTorch: the peer of `train fit`, with the same recipe, data and network.

    /usr/bin/python3 bench/pytorch/fit.py --data DIR --epochs 70 --batch 100 --threads 2

DIR has the layout of Google Speech Commands: WORD/*.wav (16 kHz, mono, 16 bit), _background_noise_/,
validation_list.txt, testing_list.txt. Words that are not in --words become _unknown_; _silence_ is cut from the
noise recordings (the first 80 % of each trains, the next 10 % validates, the last 10 % tests).
"""
import argparse
import copy
import json
import math
import pathlib
import time
import wave

import numpy
import torch
import torchaudio
from torch.nn import functional

import state_dict
from polynet import KINDS, PolyNet, lookahead, multiplications, parameters

RATE, FFT, WINDOW, HOP, MELS = 16000, 512, 480, 160, 40
SECOND = RATE  # samples of one example
WORDS = "zero one two three four five eight up down left right go yes no on off stop"


def read(path):
    with wave.open(str(path)) as f:
        if (f.getframerate(), f.getnchannels(), f.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path}: not 16 kHz mono 16 bit")
        return numpy.frombuffer(f.readframes(f.getnframes()), dtype="<i2")


def one_second(samples):
    """Pads centred with zeros, or takes the first second."""
    missing = max(SECOND - len(samples), 0)
    return numpy.pad(samples, (missing // 2, missing - missing // 2))[:SECOND]


def load(directory, words):
    """Returns ({split: (int16 clips, labels)}, {split: noise samples}); test and valid have their silence appended."""
    root = pathlib.Path(directory)
    lists = {s: set((root / f"{n}_list.txt").read_text().split()) for s, n in (("valid", "validation"), ("test", "testing"))}
    clips = {"train": ([], []), "valid": ([], []), "test": ([], [])}
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("_")):
        label = words.index(folder.name) if folder.name in words else len(words)
        for path in sorted(folder.glob("*.wav")):
            name = f"{folder.name}/{path.name}"
            split = next((s for s in lists if name in lists[s]), "train")
            clips[split][0].append(one_second(read(path)))
            clips[split][1].append(label)
    noise = {"train": [], "valid": [], "test": []}
    for path in sorted((root / "_background_noise_").glob("*.wav")):
        samples = read(path)
        a, b = int(0.8 * len(samples)), int(0.9 * len(samples))
        for split, part in (("train", samples[:a]), ("valid", samples[a:b]), ("test", samples[b:])):
            noise[split].append(part)
    draw = numpy.random.default_rng(7)
    for split in ("valid", "test"):
        for i in range(len(clips[split][0]) // 10):
            part = noise[split][i % len(noise[split])]
            at = draw.integers(0, len(part) - SECOND + 1)
            clips[split][0].append((part[at : at + SECOND] * draw.uniform(0, 1)).astype("<i2"))
            clips[split][1].append(len(words) + 1)
    sets = {s: (torch.from_numpy(numpy.stack(x)), torch.tensor(y)) for s, (x, y) in clips.items()}
    return sets, {s: torch.from_numpy(numpy.concatenate(n) / numpy.float32(32768)) for s, n in noise.items()}


class Features:
    """Log-mel rows, normalised with the statistics of the training clips."""

    def __init__(self, args, clips):
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=RATE, n_fft=FFT, win_length=WINDOW, hop_length=HOP, n_mels=MELS, f_min=args.min_hz,
            f_max=args.max_hz, power=2.0, center=True, pad_mode="constant",
            norm="slaney" if args.scale == "slaney" else None, mel_scale=args.scale)
        self.floor, self.limit = args.floor, args.limit
        rows = torch.cat([torch.log(self.energies(c.float() / 32768) + self.floor) for c in clips.split(500)])
        self.std, self.mean = torch.std_mean(rows, (0, 2), keepdim=True)
        # The centre of each band, for the band limit.
        self.hertz = self.mel.mel_scale.fb.argmax(0) * RATE / FFT

    def metadata(self):
        """Returns what a model file says of the features."""
        mel = self.mel
        return {
            "features": dict(rate=RATE, fft=FFT, window=WINDOW, hop=HOP, mels=MELS, min_hz=mel.f_min, max_hz=mel.f_max,
                             floor=self.floor, scale=mel.mel_scale.mel_scale),
            "norm": dict(mean=self.mean.flatten().tolist(), std=self.std.flatten().tolist(), limit=self.limit),
        }

    def energies(self, samples):
        return self.mel(samples)  # (batch, mels, rows)

    def normalise(self, energies):
        return ((torch.log(energies + self.floor) - self.mean) / self.std).clamp(-self.limit, self.limit)


def uniform(n, low, high):
    return torch.rand(n) * (high - low) + low


def cut(noise, n):
    """Returns n random seconds of the noise."""
    start = torch.randint(0, len(noise) - SECOND, (n, 1))
    return noise[start + torch.arange(SECOND)]


def synthesize(n):
    """Returns n seconds of made-up noise: up to three tones, or coloured noise."""
    time = torch.arange(SECOND) / RATE
    hertz = 40 * (RATE / 80) ** torch.rand(n, 3, 1)
    tones = (torch.sin(2 * math.pi * (hertz * time + torch.rand(n, 3, 1))) * torch.rand(n, 3, 1)).mean(1)
    coloured = torchaudio.functional.lfilter(torch.rand(n, SECOND) - 0.5, torch.tensor([1.0, -0.7]), torch.tensor([1.0, 0.0]))
    return torch.where(torch.rand(n, 1) < 0.5, tones, coloured)


def noises(recordings, n, synthetic):
    """Returns n seconds of noise, a share of it made up."""
    x = cut(recordings, n)
    made_up = torch.rand(n) < synthetic
    x[made_up] = synthesize(int(made_up.sum()))
    return x


def speed_and_shift(x, speed, shift):
    """Plays each clip `speed` times as fast around its centre (its pitch changes too), `shift` samples later.

    Linear interpolation: what it loses at the top of the spectrum is one more kind of microphone.
    """
    at = (torch.arange(SECOND) - SECOND / 2 - shift[:, None]) * speed[:, None] + SECOND / 2
    inside = (at >= 0) & (at <= SECOND - 2)
    at = at.clamp(0, SECOND - 2)
    left = at.long()
    part = at - left
    return (x.gather(1, left) * (1 - part) + x.gather(1, left + 1) * part) * inside


def add_noise(x, noise, decibels, on):
    """Adds noise at the given ratio of the clip's energy to the noise's."""
    x_rms, noise_rms = (v.pow(2).mean(1).sqrt() for v in (x, noise))
    factor = x_rms / (noise_rms + 1e-9) * 10 ** (-decibels / 20) * on
    return x + noise * factor[:, None]


def room(energies, args):
    """Late reverberation as a decaying tail of each row's energy: no phases, so a product with a small matrix."""
    n, rows = len(energies), energies.shape[-1]
    on = torch.rand(n) < args.room
    seconds = uniform(n, *args.room_seconds)
    decay = torch.exp(-math.log(1e6) * HOP / RATE / seconds)  # 60 dB of power within `seconds`
    age = torch.arange(rows)[None, :] - torch.arange(rows)[:, None]  # [from, to]
    tail = decay[:, None, None] ** age.clamp(min=0) * (age > 0) * (uniform(n, *args.room_level) * on)[:, None, None]
    return energies + energies @ tail


def microphone(energies, args, hertz):
    """A random slope and bumps over the mel bands, then sometimes nothing outside a narrow band."""
    n = len(energies)
    bumps = functional.interpolate(torch.randn(n, 1, 6) * args.bumps, MELS, mode="linear", align_corners=True)[:, 0]
    slope = uniform(n, -args.tilt, args.tilt)[:, None] * torch.linspace(-1, 1, MELS)
    decibels = (slope + bumps) * (torch.rand(n, 1) < args.eq)
    outside = (hertz < uniform(n, *args.band_low)[:, None]) | (hertz > uniform(n, *args.band_high)[:, None])
    decibels = decibels - 40 * (outside & (torch.rand(n, 1) < args.band))
    return energies * (10 ** (decibels / 10))[:, :, None]


def mask(rows, count, width, dim):
    """Sets `count` stretches of 0..width positions along dim to 0, the mean of normalised features."""
    n, size = len(rows), rows.shape[dim]
    for _ in range(count):
        length = (torch.rand(n, 1) * (width + 1)).long()
        start = (torch.rand(n, 1) * (size - length)).long()
        position = torch.arange(size)
        keep = (position < start) | (position >= start + length)
        rows = rows * keep.unsqueeze(2 if dim == 1 else 1)
    return rows


class Loader:
    """Draws augmented batches: one in eleven examples silence, the rest clips, rare classes more often."""

    def __init__(self, args, clips, labels, noise, features, silence):
        self.args, self.clips, self.labels, self.noise = args, clips, labels, noise
        self.features, self.silence = features, silence
        self.weights = torch.bincount(labels)[labels].double() ** -args.balance
        self.silent = args.batch // 11
        self.batches = math.ceil(len(labels) * 1.1 / args.batch)

    @torch.no_grad()
    def next(self):
        args, n = self.args, self.args.batch
        words = n - self.silent
        chosen = torch.multinomial(self.weights, words, replacement=True)
        x = speed_and_shift(self.clips[chosen].float() / 32768, uniform(words, 1 - args.speed, 1 + args.speed),
                            uniform(words, -args.shift, args.shift) * RATE)
        hush = noises(self.noise, self.silent, args.synthetic) * (torch.rand(self.silent, 1) ** 2)  # squared: often near 0
        x = torch.cat([x, hush])
        y = functional.pad(self.labels[chosen], (0, self.silent), value=self.silence)
        x = add_noise(x, noises(self.noise, n, args.synthetic), uniform(n, *args.snr), torch.rand(n) < args.noise)
        x = (x * 10 ** (uniform(n, *args.gain) / 20)[:, None]).clamp(-1, 1)
        energies = microphone(room(self.features.energies(x), args), args, self.features.hertz)
        rows = self.features.normalise(energies)
        rows = mask(rows, args.time_masks, args.time_width, 2)
        return mask(rows, args.mel_masks, args.mel_width, 1), y


def optimiser(net, args):
    """SGD with Nesterov momentum, or AdamW; no weight decay on norms, biases and the product's scale."""
    groups = [{"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": args.decay},
              {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0}]
    if args.optimizer == "sgd":
        return torch.optim.SGD(groups, args.rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, args.rate)


@torch.no_grad()
def follow(average, net, decay):
    """Moves the weights' average, batch norm's statistics included, a step towards net."""
    for a, b in zip(average.state_dict().values(), net.state_dict().values()):
        if a.is_floating_point():
            a.lerp_(b, 1 - decay)


@torch.no_grad()
def accuracy(net, rows, labels):
    net.eval()
    answers = torch.cat([net(r).argmax(1) for r in rows.split(200)])
    net.train()
    return 100 * (answers == labels).float().mean().item()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", required=True)
    add("--words", default=WORDS, help="space-separated")
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=1)
    add("--test", action="store_true", help="also print the accuracy on the test list at the end")
    add("--save", help="write the averaged weights to this safetensors file, for `train import`")
    group = parser.add_argument_group("network")
    add = group.add_argument
    add("--arch", default="pi", choices=KINDS)
    add("--stem", default="64,5,1,1", help="width,kernel,ahead,stride")
    add("--stages", default="64,3,5,2,2 96,3,5,1,2 144,3,5,0,2", help="width,blocks,kernel,ahead,stride of each")
    add("--dropout", type=float, default=0.15)
    group = parser.add_argument_group("features")
    add = group.add_argument
    add("--scale", default="htk", choices=("htk", "slaney"))
    add("--min-hz", type=float, default=20)
    add("--max-hz", type=float, default=8000)
    add("--floor", type=float, default=1e-3)
    add("--limit", type=float, default=4, help="deviations within which features are held")
    group = parser.add_argument_group("optimisation")
    add = group.add_argument
    add("--epochs", type=int, default=60)
    add("--batch", type=int, default=100)
    add("--optimizer", default="sgd", choices=("sgd", "adamw"))
    add("--rate", type=float, default=0.2, help="peak learning rate")
    add("--warmup", type=float, default=2, help="epochs of linear warm-up, a cosine to zero follows")
    add("--decay", type=float, default=5e-4)
    add("--clip", type=float, default=2, help="limit of the gradient's norm")
    add("--smoothing", type=float, default=0.1, help="of the labels")
    add("--ema", type=float, default=0.998, help="decay of the weights' average, which is what is evaluated")
    add("--balance", type=float, default=0.5, help="a clip is drawn with its class's size to the minus this power")
    group = parser.add_argument_group("augmentation")
    add = group.add_argument
    add("--speed", type=float, default=0.15, help="plays 1-SPEED to 1+SPEED times as fast")
    add("--shift", type=float, default=0.12, help="seconds to either side")
    add("--noise", type=float, default=0.6, help="probability of background noise")
    add("--snr", type=float, nargs=2, default=(3, 30), help="decibels")
    add("--synthetic", type=float, default=0.2, help="share of the noise, and of silence, that is made up")
    add("--gain", type=float, nargs=2, default=(-20, 10), help="decibels")
    add("--room", type=float, default=0.2, help="probability of reverberation")
    add("--room-seconds", type=float, nargs=2, default=(0.1, 0.6), help="seconds to decay by 60 dB")
    add("--room-level", type=float, nargs=2, default=(0.02, 0.25), help="energy of the tail's first row")
    add("--eq", type=float, default=0.4, help="probability of a random frequency response")
    add("--tilt", type=float, default=6, help="decibels at either end of the mel axis")
    add("--bumps", type=float, default=3, help="standard deviation at six points of the mel axis, decibels")
    add("--band", type=float, default=0.1, help="probability of a narrow band")
    add("--band-low", type=float, nargs=2, default=(100, 400), help="hertz")
    add("--band-high", type=float, nargs=2, default=(3000, 7000), help="hertz")
    add("--time-masks", type=int, default=2)
    add("--time-width", type=int, default=10, help="rows at most")
    add("--mel-masks", type=int, default=2)
    add("--mel-width", type=int, default=5, help="mels at most")
    return parser.parse_args()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    words = args.words.split()
    sets, noise = load(args.data, words)
    clips, labels = sets["train"]
    features = Features(args, clips)

    def evaluation(split):
        x, y = sets[split]
        return torch.cat([features.normalise(features.energies(c.float() / 32768)) for c in x.split(500)]), y

    valid = evaluation("valid")
    loader = Loader(args, clips, labels, noise["train"], features, len(words) + 1)
    stem = dict(zip(("width", "kernel", "ahead", "stride"), map(int, args.stem.split(","))))
    stages = [dict(zip(("width", "blocks", "kernel", "ahead", "stride"), map(int, s.split(",")))) for s in args.stages.split()]
    net = PolyNet(MELS, len(words) + 2, args.arch, stem, stages, args.dropout)
    average = copy.deepcopy(net)
    print(json.dumps({"train": len(clips), "valid": len(valid[1]), "test": len(sets["test"][1]), "parameters": parameters(net),
                      "lookahead_ms": lookahead(net) * HOP * 1000 // RATE,
                      "multiply_adds_a_second": multiplications(net, SECOND // HOP + 1)}), flush=True)
    steps = optimiser(net, args)
    step, warm, total = 0, args.warmup * loader.batches, args.epochs * loader.batches
    for epoch in range(1, args.epochs + 1):
        started, loss_sum = time.perf_counter(), 0.0
        for _ in range(loader.batches):
            rate = args.rate * min(1, (step + 1) / max(warm, 1))
            rate *= (1 + math.cos(math.pi * max(0, step - warm) / max(total - warm, 1))) / 2
            for group in steps.param_groups:
                group["lr"] = rate
            x, y = loader.next()
            loss = functional.cross_entropy(net(x), y, label_smoothing=args.smoothing)
            steps.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), args.clip)
            steps.step()
            step += 1
            # A young average forgets faster, so that it does not remember the initial weights.
            follow(average, net, min(args.ema, (1 + step) / (10 + step)))
            loss_sum += loss.item()
        seconds = time.perf_counter() - started
        print(f"epoch {epoch:3d}  {seconds:6.1f} s  loss {loss_sum / loader.batches:.4f}  "
              f"valid {accuracy(average, *valid):.2f} %", flush=True)
    if args.test:
        print(f"test {accuracy(average, *evaluation('test')):.2f} %")
    if args.save:
        state_dict.write(args.save, average.state_dict(), **features.metadata(), window=SECOND / RATE,
                         labels=words + ["_unknown_", "_silence_"],
                         net=dict(inputs=MELS, classes=len(words) + 2, block=args.arch, stem=stem, stages=stages, dropout=args.dropout))


if __name__ == "__main__":
    main()
