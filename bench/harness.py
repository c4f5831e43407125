"""What all groups of rows share: workers, taking turns, comparing results, and Markdown."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = ROOT / "bin"
PYTHON = "/usr/bin/python3"


class Failure(Exception):
    """What makes a comparison worthless."""


def run(command, **options):
    """Runs a command and returns (seconds of wall time, stdout, stderr)."""
    started = time.perf_counter()
    process = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise Failure(f"{' '.join(map(str, command))} failed:\n{process.stderr}")
    return seconds, process.stdout, process.stderr


def watched(command):
    """Runs a command without reading what it prints. Returns (seconds of wall time, resident memory at its peak in MB);
    a small process starts it, since a child is born with its parent's peak."""
    watch = ("import sys, subprocess, resource, time; started = time.perf_counter(); "
             "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
             "print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)")
    _, out, _ = run([PYTHON, "-S", "-c", watch, *command])
    seconds, megabytes = map(float, out.split())
    return seconds, megabytes


class Worker:
    """A process that prepares cases and runs them on request; bench/serve describes the protocol."""

    def __init__(self, name, command, threads=1, **environment):
        self.name, self.threads = name, threads
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        self.hello = self.ask(do="hello")

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "it has ended"}
        if "error" in answer:
            raise Failure(f"{self.name}: {answer['error']}")
        return answer.get("seconds", answer.get("facts"))

    def prepare(self, case, **args):
        """Returns the Side that runs the case."""
        return Side(self, case, args)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Side:
    """One prepared case in one worker."""
    count = 0

    def __init__(self, worker, case, args):
        Side.count += 1
        self.worker, self.name = worker, f"{Side.count} {case}"
        self.threads = args.get("threads", worker.threads)  # whoever comes after several waits until they sleep
        self.facts = worker.ask(do="prepare", name=self.name, case=case, args=args)
        self.arrange = lambda result: result  # puts a result into the order of the others'

    def time(self, calls):
        """Returns the mean seconds of so many calls."""
        return self.worker.ask(do="time", name=self.name, calls=calls)

    def result(self, work):
        import numpy  # which may only just have been installed
        path = work / "result"
        self.worker.ask(do="result", name=self.name, path=str(path))
        return self.arrange(numpy.fromfile(path, "<f4"))


# Libraries' threads spin for some milliseconds after their work, on the core that the next side needs.
PAUSE = 0.03


def take_turns(sides, rounds, sample):
    """Times the sides one after the other, `rounds` times. A time is the mean over the calls that fill `sample`
    seconds. Returns a list of times in seconds for each side."""
    calls = [max(1, round(sample / max(side.time(1), 1e-9))) for side in sides]
    times = [[] for _ in sides]
    for _ in range(rounds):
        for side, n, found in zip(sides, calls, times):
            found.append(side.time(n))
            if side.threads > 1:
                time.sleep(PAUSE)
    return times


def differences(sides, work, tolerance):
    """Returns the greatest difference of each later side's result from the first one's. Where one is beyond tolerance,
    relative to the largest value, the times mean nothing."""
    import numpy
    first, *others = (side.result(work) for side in sides)
    largest = float(numpy.abs(first).max())
    found = []
    for side, other in zip(sides[1:], others):
        if other.shape != first.shape:
            raise Failure(f"{side.worker.name} {side.name}: {other.shape} values, {sides[0].worker.name} gives {first.shape}")
        found.append(float(numpy.abs(other - first).max()))
        if not found[-1] <= tolerance * largest:
            raise Failure(f"{side.worker.name} {side.name} differs by {found[-1]:.3g} from {sides[0].worker.name}, "
                          f"whose largest value is {largest:.3g}")
    return found


def spread(values, scale=1):
    """Median and range of values."""
    values = [scale * v for v in values]
    return f"{three(statistics.median(values))} ({three(min(values))}-{three(max(values))})"


def three(x):
    """Returns x with three digits that count."""
    if x == 0 or 0.001 <= abs(x) < 999.5:
        digits = 3 if x == 0 else max(0, 2 - int(f"{abs(x):e}".split("e")[1]))
        return f"{x:.{digits}f}"
    return f"{x:,.0f}" if abs(x) >= 999.5 else f"{x:.1e}"


def ratio(ours, peer):
    """polyphon's time by the peer's."""
    return f"{statistics.median(ours) / statistics.median(peer):.2f}"


class Table:
    """A Markdown table that shows itself while it grows."""

    def __init__(self, *columns):
        self.lines = []
        print()
        self.row(*columns)
        self.row(*["---"] * len(columns))

    def row(self, *cells):
        self.lines.append("| " + " | ".join(map(str, cells)) + " |")
        print(self.lines[-1], flush=True)


TOLERATED = 5  # per cent of a core


class Load:
    """What else the machine did since the Load was made. Other work beside a benchmark makes its times worthless."""

    def __init__(self, workers):
        self.workers = workers
        self.started, self.others, self.stolen = time.perf_counter(), *self.seconds()

    def seconds(self):
        """Returns the processor seconds, so far, of other processes and of the machine's other guests."""
        tick = os.sysconf("SC_CLK_TCK")
        with open("/proc/stat") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
        own = sum(os.times()[:4])
        for worker in self.workers:
            with open(f"/proc/{worker.process.pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            own += (int(fields[11]) + int(fields[12])) / tick
        return (user + nice + system + irq + softirq) / tick - own, steal / tick

    def report(self):
        """Returns a sentence on it."""
        seconds = time.perf_counter() - self.started
        others, stolen = (100 * (now - before) / seconds for now, before in zip(self.seconds(), (self.others, self.stolen)))
        sentence = (f"It took {seconds:.0f} s; meanwhile other processes took {max(0, others):.1f} % of a core, other guests of the "
                    f"host {stolen:.1f} %.")
        return sentence if others + stolen < TOLERATED else f"**Not to be trusted, since the machine was busy.** {sentence}"


def note(text):
    print(text, file=sys.stderr, flush=True)


class Comparison(Table):
    """A table whose rows compare polyphon with variants of itself and with peers. polyphon and its variants are
    measured with each kernel set, and compared with the same one."""

    def __init__(self, what, kernels, peers, unit, variants=(), extra=()):
        named = [f"{name} {k}" for name in ("polyphon", *variants) for k in kernels] + [*peers]
        order = ", ".join([*variants, *peers])
        super().__init__(*what, *(f"{name}, {unit}" for name in named), *(f"ratio {k}: {order}" for k in kernels), *extra)
        self.kernels, self.variants = len(kernels), len(variants)

    def compare(self, what, times, cells, extra=()):
        """Adds a row. times are lists of seconds in the columns' order, cells what is shown of them."""
        n, own = self.kernels, self.kernels * (1 + self.variants)
        ours, peers = times[:n], times[own:]
        ratios = []
        for k, found in enumerate(ours):
            others = times[n + k : own : n] + peers
            ratios.append(", ".join(ratio(found, other) for other in others))
        self.row(*what, *cells, *ratios, *extra)


def milliseconds(times):
    return [spread(found, 1e3) for found in times]


def microseconds(times):
    return [spread(found, 1e6) for found in times]
