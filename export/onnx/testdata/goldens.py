#!/usr/bin/python3
"""Makes torch.zip: what torch.onnx.export writes of small random networks of every block kind, and their logits.

    /usr/bin/python3 export/onnx/testdata/goldens.py

KIND.folded.onnx has the batch norms in the convolutions' weights, KIND.norms.onnx has them apart; cases.json has the
network, a batch of rows and each kind's logits.
"""
import io
import json
import pathlib
import sys
import warnings
import zipfile

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[2] / "bench/pytorch"))
from polynet import KINDS, PolyNet

MELS, CLASSES, CLIPS, ROWS = 3, 2, 2, 9
STEM = dict(width=4, kernel=3, ahead=2, stride=2)
STAGES = [dict(width=4, blocks=1, kernel=3, ahead=1, stride=1), dict(width=5, blocks=1, kernel=4, ahead=0, stride=2)]


def network(kind):
    net = PolyNet(MELS, CLASSES, kind, STEM, STAGES)
    with torch.no_grad():
        for name, v in net.state_dict().items():
            if v.is_floating_point():
                v.add_(0.4 * torch.rand_like(v) - (0 if "running_var" in name else 0.2))
        for _ in range(50):  # so that the norms have their inputs' statistics, without which products of products grow
            net(torch.randn(100, MELS, ROWS))
    return net.eval()


def export(net, folded):
    options = {} if folded else dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.zeros(2, MELS, ROWS), file, opset_version=17, input_names=["features"],
                          output_names=["logits"], dynamic_axes={"features": {0: "batch", 2: "time"}}, **options)
    return file.getvalue()


def main():
    torch.manual_seed(1)
    rows = torch.randn(CLIPS, MELS, ROWS)
    cases = dict(rows=rows.transpose(1, 2).flatten().tolist(), clips=CLIPS, logits={},
                 net=dict(inputs=MELS, classes=CLASSES, stem=STEM, stages=STAGES))
    with zipfile.ZipFile(HERE / "torch.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        put = lambda name, data: archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        for kind in KINDS:
            net = network(kind)
            with torch.no_grad():
                cases["logits"][kind] = net(rows).flatten().tolist()
            put(f"{kind}.folded.onnx", export(net, True))
            put(f"{kind}.norms.onnx", export(net, False))
        put("cases.json", json.dumps(cases))


if __name__ == "__main__":
    main()
