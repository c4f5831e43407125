"""Training steps: forward, loss, backward, gradient clipping and the optimiser's update."""
import torch
from torch.nn import functional

from case import Case, repeated
from inference import read
from modelfile import Model

# The recipe's constants, which polyphon has too.
MOMENTUM, DECAY, SMOOTHING, CLIP = 0.9, 5e-4, 0.1, 2.0


def step(model, rows, batch, frames, rate, steps):
    """Steps on one batch of normalised features, whose clip i has label i modulo the number of classes. `steps` of them
    come before those that are timed; their losses are reported."""
    net = Model(model).net.train()
    net.dropout.p = 0.0
    x = read(rows, batch, frames, -1).transpose(1, 2).contiguous()
    labels = torch.arange(batch) % net.head.out_features
    groups = [{"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": DECAY},
              {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, rate, momentum=MOMENTUM, nesterov=True, foreach=True)

    def one():
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(net(x), labels, label_smoothing=SMOOTHING)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
        return loss.item()

    return Case(repeated(one), facts={"losses": [one() for _ in range(steps)]})
