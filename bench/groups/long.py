import statistics
import wave

from bench import MIDDLE, describe
from harness import BIN, ROOT, Table, spread, watched

TITLE = "Long recordings"
ABOUT = """`classify --threads 1` on one WAV file (16 kHz, mono, 16 bit: the example clips over and over), classified in
windows of one second, one every half second; from the start of the process to its end. Peak is resident memory."""

RATE = 16000
LENGTHS = {"1 s": 1, "1 min": 60, "1 h": 3600, "10 h": 36000}


def rows(bench):
    model, facts = bench.model("pi", MIDDLE)
    table = Table(f"length, {describe('pi', MIDDLE, facts)}", "wall time, s", "µs a second of sound", "times real time", "peak, MB")
    for name, seconds in LENGTHS.items():
        if bench.quick and seconds > 60:
            continue
        path = bench.work / "long.wav"
        write(path, seconds)
        rounds = 1 if seconds > 3600 else bench.rounds
        times, peaks = zip(*(watched([BIN / "classify", "--model", model, "--threads", 1, "--format", "csv", path]) for _ in range(rounds)))
        path.unlink()
        table.row(name, spread(times), spread([1e6 * t / seconds for t in times]), f"{seconds / statistics.median(times):,.0f}", spread(peaks))
    return table.lines


def write(path, seconds):
    """Writes a WAV file of the example clips over and over."""
    sound = b""
    for clip in sorted((ROOT / "examples").glob("*.wav")):
        with wave.open(str(clip)) as f:
            sound += f.readframes(f.getnframes())
    left = 2 * RATE * seconds
    with wave.open(str(path), "wb") as f:
        f.setparams((1, 2, RATE, RATE * seconds, "NONE", ""))
        while left > 0:
            f.writeframesraw(sound[:left])
            left -= len(sound)
