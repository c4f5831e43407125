"""Installs the peers, builds the workers, and says what they are."""
import json
import os
import platform
import shutil
import subprocess

from harness import BIN, HERE, ROOT, Failure, note, run

DEBIAN = ["python3-torch", "python3-torchaudio", "python3-numpy", "python3-scipy", "libopenblas-dev"]
PROGRAMS = {"node": "nodejs", "npm": "npm", "gcc": "gcc libc6-dev"}  # their packages, where they are missing
ONNXRUNTIME = HERE / "onnxruntime"
OPENBLAS = HERE / "openblas"


def install():
    """Installs what is missing of the peers: Debian packages, and ONNX Runtime from npm."""
    def installed(package):
        status = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
        return status.stdout.endswith(" installed")

    missing = [p for p in DEBIAN if not installed(p)]
    missing += [p for program, packages in PROGRAMS.items() if not shutil.which(program) for p in packages.split()]
    if missing:
        note("installing " + " ".join(missing))
        root = [] if os.geteuid() == 0 else ["sudo"]
        run([*root, "apt-get", "update"])
        run([*root, "apt-get", "install", "-y", "--no-install-recommends", *missing])
    if not (ONNXRUNTIME / "node_modules/onnxruntime-node").exists():
        note("installing onnxruntime-node")
        # Its install script would fetch libraries for GPUs; the one for CPUs is in the package.
        run(["npm", "ci", "--ignore-scripts"], cwd=ONNXRUNTIME)


def build():
    """Builds everything that runs."""
    BIN.mkdir(exist_ok=True)
    for name, package in (("classify", "./cmd/classify"), ("train", "./cmd/train"),
                          ("bench-polyphon", "./bench/polyphon"), ("bench-gopeers", "./bench/gopeers")):
        run(["go", "build", "-o", BIN / name, package], cwd=ROOT)
    run(["gcc", "-O2", "-shared", "-fPIC", "-o", OPENBLAS / "repeat.so", OPENBLAS / "repeat.c", "-lopenblas"])


def machine():
    """Returns the machine in words."""
    model = platform.processor()
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return f"{model}, {os.cpu_count()} cores, {megabytes / 1024:.0f} GB, Linux {platform.release().split('-')[0]}"


def versions():
    """Returns what runs, in words."""
    def package(name):
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True).stdout

    modules = {}
    for path in ("gonum.org/v1/gonum", "gorgonia.org/tensor", "github.com/mjibson/go-dsp"):
        modules[path.split("/")[-1]] = run(["go", "list", "-m", "-f", "{{.Version}}", path], cwd=ROOT)[1].strip()
    onnxruntime = json.loads((ONNXRUNTIME / "node_modules/onnxruntime-node/package.json").read_text())["version"]
    return ", ".join([
        run(["go", "env", "GOVERSION"], cwd=ROOT)[1].strip(),
        f"PyTorch {package('python3-torch')}", f"torchaudio {package('python3-torchaudio')}",
        f"ONNX Runtime {onnxruntime} (node {run(['node', '--version'])[1].strip()})", f"OpenBLAS {package('libopenblas-dev')}",
        *(f"{name} {version}" for name, version in modules.items())])


def commit():
    """Returns the commit that is measured, with a + where the working tree differs from it."""
    name = run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT)[1].strip()
    changed = run(["git", "status", "--porcelain", "--untracked-files=no", "--", ":!bench/RESULTS.md"], cwd=ROOT)[1].strip()
    return name + ("+" if changed else "")
