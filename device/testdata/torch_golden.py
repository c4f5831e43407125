"""Writes torch_golden.json: what PyTorch computes for the operations of package device.

Run in this folder: python3 torch_golden.py. Written with PyTorch 1.13.1 on CPU, in float64.
"""
import json
import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
golden = {}


def save(case, **tensors):
    golden[case] = {name: t.detach().flatten().tolist() for name, t in tensors.items()}


# Time-major convolution, two clips of 9 frames with 3 channels to 4, kernel 5, stride 2, and its gradients.
x = torch.randn(2, 9, 3).round(decimals=3).requires_grad_()
w = torch.randn(5 * 3, 4).round(decimals=3).requires_grad_()
kernel = w.reshape(5, 3, 4).permute(2, 1, 0)
y = F.conv1d(x.transpose(1, 2), kernel, stride=2).transpose(1, 2)
dy = torch.randn_like(y).round(decimals=3)
y.backward(dy)
save("conv", x=x, w=w, y=y, dy=dy, dw=w.grad)

# A polynomial block's sum y = F + S + alpha·BN(F∘S), 12 rows of 5 channels, with its gradients.
f = torch.randn(12, 5).round(decimals=3).requires_grad_()
s = torch.randn(12, 5).round(decimals=3).requires_grad_()
alpha = torch.tensor([0.7]).requires_grad_()
norm = torch.nn.BatchNorm1d(5, momentum=0.1, eps=1e-5)
gamma, beta = torch.randn(5).round(decimals=3), torch.randn(5).round(decimals=3)
with torch.no_grad():
    norm.weight.copy_(gamma)
    norm.bias.copy_(beta)
y = f + s + alpha * norm(f * s)
dy = torch.randn_like(y).round(decimals=3)
y.backward(dy)
save("block", f=f, s=s, alpha=alpha, gamma=gamma, beta=beta, y=y, dy=dy, df=f.grad, ds=s.grad,
     dalpha=alpha.grad, dgamma=norm.weight.grad, dbeta=norm.bias.grad,
     runmean=norm.running_mean, runvar=norm.running_var)

# Cross-entropy with soft targets and its gradient, scaled by 1/4.
logits = (3 * torch.randn(4, 6)).round(decimals=3).requires_grad_()
targets = torch.softmax(torch.randn(4, 6), 1).round(decimals=3)
losses = F.cross_entropy(logits, targets, reduction="none")
(losses.sum() / 4).backward()
save("crossentropy", logits=logits, targets=targets, losses=losses, dlogits=logits.grad)

# Three steps of each optimiser on the same gradients.
start = torch.randn(7).round(decimals=3)
grads = torch.randn(3, 7).round(decimals=3)
for name, make in {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.05),
}.items():
    p = start.clone().requires_grad_()
    optimiser = make([p])
    for g in grads:
        p.grad = g.clone()
        optimiser.step()
    save(name, start=start, grads=grads, end=p)

p = start.clone().requires_grad_()
p.grad = grads[0].clone()
length = torch.nn.utils.clip_grad_norm_([p], 0.5)
save("clip", g=grads[0], norm=length, clipped=p.grad)

# Losses of the authors' repositories, restated for rows of one-hot targets, each summed over the batch.
logits = (3 * torch.randn(12, 5)).round(decimals=3)
labels = torch.randint(5, (12,))


def focal(z, gamma):
    logp = F.log_softmax(z, 1).gather(1, labels[:, None])[:, 0]
    return -((1 - logp.exp()) ** gamma) * logp


def flsd(z):  # focal_loss_adaptive_gamma.py of Mukhoti et al.
    p = F.softmax(z, 1).gather(1, labels[:, None])[:, 0].detach()
    return focal(z, torch.where(p < 0.2, 5.0, 3.0))


def dual_focal(z, gamma):  # dual_focal_loss.py of Tao et al.
    logp = F.log_softmax(z, 1).gather(1, labels[:, None])[:, 0]
    p = F.softmax(z, 1)
    below = torch.where(p < p.gather(1, labels[:, None]), p, torch.zeros(()))
    return -((1 - logp.exp() + below.max(1).values) ** gamma) * logp


for name, loss in {
    "focal": lambda z: focal(z, 3.0), "focal half": lambda z: focal(z, 0.5), "flsd": flsd,
    "dual": lambda z: dual_focal(z, 2.0), "brier": lambda z: (F.softmax(z, 1) - F.one_hot(labels, 5)).square().sum(1),
}.items():
    z = logits.clone().requires_grad_()
    losses = loss(z)
    losses.sum().backward()
    save("loss " + name, logits=z, targets=F.one_hot(labels, 5), losses=losses, dlogits=z.grad)

with open("torch_golden.json", "w") as file:
    json.dump(golden, file, indent=1)
    file.write("\n")
