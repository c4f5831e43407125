from harness import BIN, HERE, PYTHON, ROOT, Table, ratio, spread, watched

TITLE = "Start"
ABOUT = """One clip of one second with the embedded model's weights, from the start of the process to the label and its
end, on one thread; resident memory at its peak."""

CLIP = ROOT / "examples/left.wav"


def rows(bench):
    ours = [BIN / "classify", "--threads", 1, CLIP]
    peer = [PYTHON, HERE / "pytorch/classify.py", "--model", ROOT / "models/base.safetensors", "--threads", 1, CLIP]
    few = 1 if bench.quick else 4  # of the peer's runs; a round has five of ours
    found = {"ours": [], "peer": []}
    watched(ours), watched(peer)
    for _ in range(few):
        found["ours"] += [watched(ours) for _ in range(5)]
        found["peer"].append(watched(peer))
    table = Table("one clip", "polyphon", "PyTorch", "ratio")
    for what, column, scale in (("process start to label, ms", 0, 1e3), ("resident memory, MB", 1, 1)):
        a, b = ([measured[column] for measured in found[side]] for side in ("ours", "peer"))
        table.row(what, spread(a, scale), spread(b, scale), ratio(a, b))
    return table.lines
