"""The PyTorch side of bench/gpu.py: networks, training steps and features on a GPU.

    python3 bench/pytorch/cuda_worker.py [--device cpu]

A call begins with its input in pinned memory of the host and ends with its result in the host's memory. With graph,
what lies between is captured once as a CUDA graph and replayed: PyTorch at its best. precision is that of matrix
products: float32, tf32, or bf16 (autocast). --device cpu, where graph means nothing, only serves to try the worker
without a GPU.
"""
import argparse
import warnings

import torch
from torch.nn import functional

from case import Case, repeated
from inference import read
from modelfile import Model
from serving import serve
from steps import CLIP, DECAY, MOMENTUM, SMOOTHING

WARM_UP = 3  # calls before a capture


class Device:
    name = "cuda"


def on_device(x):
    return x.to(Device.name)


def pinned(x):
    return x.pin_memory() if Device.name == "cuda" else x



def choose(precision):
    """Sets how matrix products are computed and returns the context to compute in."""
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    return torch.autocast(Device.name, torch.bfloat16, enabled=precision == "bf16")


def captured(function):
    """Returns a function that replays what function does to memory that stays where it is, and the result's place."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        place = function()

    def replay():
        graph.replay()
        return place

    return replay


def forward(host, function, precision, graph):
    """Returns the Case of function(host's values on the GPU)."""
    context, host = choose(precision), pinned(host)
    x, result = on_device(host), None

    def compute():
        with torch.no_grad(), context:
            return function(x).float()

    compute = captured(compute) if graph and Device.name == "cuda" else compute

    def run():
        nonlocal result
        x.copy_(host, non_blocking=True)
        result = compute().cpu()

    return Case(repeated(run), lambda: result.numpy())


def net(model, rows, batch, frames, precision, graph):
    """A model file's network over a batch of log-mel rows, normalised beforehand."""
    m = Model(model)
    network = on_device(m.net)
    return forward(m.normalise(read(rows, batch, frames, -1).transpose(1, 2)).contiguous(), network, precision, graph)


def sounds(model, rows, batch, precision, graph):
    """A batch of sounds, from samples to probabilities."""
    m = Model(model)
    network, mel, mean, std = map(on_device, (m.net, m.mel, m.mean, m.std))

    def probabilities(x):
        with torch.autocast(Device.name, enabled=False):
            energies = torch.log(mel(x) + m.features["floor"])
            normal = ((energies - mean) / std).clamp(-m.limit, m.limit)
        return functional.softmax(network(normal).float() / m.temperature, dim=1)

    return forward(read(rows, batch, -1), probabilities, precision, graph)


def step(model, rows, batch, frames, rate, steps, precision, graph):
    """Training steps, as steps.step has them. A capture is made of the last of those that are not timed."""
    context, network = choose(precision), on_device(Model(model).net.train())
    network.dropout.p = 0.0
    host = pinned(read(rows, batch, frames, -1).transpose(1, 2).contiguous())
    x, labels = on_device(host), on_device(torch.arange(batch) % network.head.out_features)
    groups = [{"params": [p for p in network.parameters() if p.dim() > 1], "weight_decay": DECAY},
              {"params": [p for p in network.parameters() if p.dim() <= 1], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, rate, momentum=MOMENTUM, nesterov=True, foreach=True)

    def compute():
        optimizer.zero_grad(set_to_none=True)
        with context:
            loss = functional.cross_entropy(network(x), labels, label_smoothing=SMOOTHING)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        return loss

    def one(compute=compute):
        x.copy_(host, non_blocking=True)
        return compute().item()

    losses = [one() for _ in range(steps)]
    if not graph or Device.name == "cpu":
        return Case(repeated(one), facts={"losses": losses})
    replay = captured(compute)
    return Case(repeated(lambda: one(replay)), facts={"losses": losses})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    Device.name = parser.parse_args().device
    warnings.filterwarnings("ignore")
    serve({"torch": torch.__version__}, {"net": net, "sounds": sounds, "step": step})


if __name__ == "__main__":
    main()
