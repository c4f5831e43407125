from bench import normals
from harness import Comparison, differences, microseconds

TITLE = "Log-mel rows"
ABOUT = """The default features (16 kHz, Hann window of 30 ms every 10 ms, FFT of 512 points, 40 mels, logarithm) of
noise, on one thread. go-dsp and gonum only transform: around them is a plain Go program in float64 that windows, sums
the mels' triangles and takes logarithms."""

# polyphon's default configuration.
FEATURES = dict(rate=16000, fft=512, window=480, hop=160, mels=40, min_hz=20, max_hz=8000, floor=1e-3)
PEERS = ["torchaudio", "go-dsp", "gonum"]


def rows(bench):
    table = Comparison(["sound"], bench.titles, PEERS, "µs", extra=["max abs Δ"])
    for seconds in (1, 10):
        samples = bench.floats("samples", 0.1 * normals(seconds * FEATURES["rate"]))
        sides = [o.prepare("logmel", samples=samples) for o in bench.ours]
        sides += [bench.pytorch(1).prepare("logmel", samples=samples, features=dict(FEATURES, scale="htk"))]
        sides += [bench.gopeers.prepare(f"{name} logmel", samples=samples, **FEATURES) for name in PEERS[1:]]
        delta = max(differences(sides, bench.work, 1e-3))
        times = bench.take_turns(sides)
        table.compare([f"{seconds} s"], times, microseconds(times), [f"{delta:.1e}"])
        bench.forget()
    return table.lines
