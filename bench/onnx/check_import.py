"""Compares polyphon's answers from imported weights with PyTorch's own, for random networks of every block kind, as
state dicts and as ONNX files with and without the batch norms folded.

    /usr/bin/python3 bench/onnx/check_import.py TRAIN ONNX

TRAIN and ONNX are the programs of cmd/train and bench/onnx.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy
import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "pytorch"))
import state_dict
from polynet import KINDS, PolyNet

TOLERANCE = 1e-4
MELS, CLASSES, CLIPS, ROWS = 40, 5, 20, 101
STEM = dict(width=24, kernel=5, ahead=2, stride=1)
STAGES = [dict(width=24, blocks=2, kernel=5, ahead=2, stride=1), dict(width=32, blocks=2, kernel=4, ahead=0, stride=2)]
FEATURES = dict(rate=16000, fft=512, window=480, hop=160, mels=MELS, min_hz=20, max_hz=8000, floor=1e-3, scale="htk")
NORM = dict(mean=[0.0] * MELS, std=[1.0] * MELS)


def network(kind):
    """Returns a random network whose norms have the statistics of random inputs."""
    net = PolyNet(MELS, CLASSES, kind, STEM, STAGES)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "norm" in name or "bias" in name:
                p.add_(0.3 * torch.randn_like(p))
            if name.endswith("product.scale"):
                p.fill_(0.3)
        for _ in range(50):
            net(torch.randn(CLIPS, MELS, ROWS))
    return net.eval()


def export(net, path, folded):
    options = {} if folded else dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that lengths are traced as if they were fixed, where they are not
        torch.onnx.export(net, torch.zeros(2, MELS, ROWS), path, opset_version=17, input_names=["features"],
                          output_names=["logits"], dynamic_axes={"features": {0: "batch", 2: "time"}}, **options)


def flags(work, kind):
    """Returns the flags that `train import` needs for an ONNX file."""
    (work / "norm.json").write_text(json.dumps(NORM))
    size = lambda s, *keys: ":".join(str(s[k]) for k in keys)
    return ["--arch", kind, "--stem", size(STEM, "width", "kernel", "ahead", "stride"), "--labels", ",".join("abcde"),
            "--stages", ",".join(size(s, "width", "blocks", "kernel", "ahead", "stride") for s in STAGES),
            "--features", "default", "--norm", work / "norm.json", "--window", "1"]


def main():
    train, onnx = sys.argv[1:]
    torch.manual_seed(1)
    rows = torch.randn(CLIPS, MELS, ROWS)
    want = {}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "weights").mkdir()
        run = lambda *command: subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        for kind in KINDS:
            net = network(kind)
            with torch.no_grad():
                want[kind] = net(rows).numpy()
            source = work / "weights" / kind
            state_dict.write(source, net.state_dict(), features=FEATURES, norm=NORM, window=1, labels=list("abcde"),
                             net=dict(inputs=MELS, classes=CLASSES, block=kind, stem=STEM, stages=STAGES, dropout=0))
            run(train, "import", "--safetensors", source, "--out", work / f"{kind}-state_dict.safetensors")
            for folded in True, False:
                export(net, source, folded)
                name = f"{kind}-onnx-{'folded' if folded else 'norms'}.safetensors"
                run(train, "import", "--onnx", source, "--out", work / name, *flags(work, kind))
        (work / "sounds.json").write_text(json.dumps([dict(Name="x", Clips=CLIPS, Frames=ROWS, Mels=MELS)]))
        rows.transpose(1, 2).contiguous().numpy().tofile(work / "x.rows")
        run(onnx, "answers", work)
        worst = 0
        for path in sorted(work.glob("*.safetensors")):
            kind = max((k for k in KINDS if path.stem.startswith(k + "-")), key=len)
            got = numpy.fromfile(work / f"x.{path.stem}.logits", dtype="<f4").reshape(want[kind].shape)
            difference = numpy.abs(got - want[kind]).max()
            largest = numpy.abs(want[kind]).max()
            print(f"{path.stem:23s}  imported, {CLIPS} clips  largest logit {largest:5.1f}  max |Δlogit| {difference:.1e}")
            worst = max(worst, difference if difference == difference else numpy.inf)
    if worst > TOLERANCE:
        sys.exit(f"differences up to {worst}, of which {TOLERANCE} are allowed")


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__}")
    main()
