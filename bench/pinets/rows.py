"""The networks that bench/pinets compares, the most important ones first."""
import dataclasses

WORDS = "zero,one,two,three,four,five,eight,up,down,left,right,go,yes,no,on,off,stop"
EPOCHS = 40


@dataclasses.dataclass
class Row:
    net: str  # rows of one name have equal depth, width and options, but for those of narrow and papers nets
    arch: str
    stem: str
    stages: str
    options: tuple = ()
    retired: bool = False  # train no longer has such blocks; the figures stay


BASE = ("64:5:1:1", "64:3:5:2:2,96:3:5:1:2,144:3:5:0:2")
SMALL = ("32:5:1:1", "32:2:5:2:2,36:2:5:1:2,46:2:5:0:2")
NARROW_BASE = ("50:5:1:1", "50:3:5:2:2,74:3:5:1:2,113:3:5:0:2")
NARROW_SMALL = ("24:5:1:1", "24:2:5:2:2,28:2:5:1:2,36:2:5:0:2")
SQUARE = ("--features", "square32", "--augment", "speech")

ROWS = [
    Row("base", "relu", *BASE), Row("base", "pi", *BASE),
    Row("small", "relu", *SMALL), Row("small", "pi", *SMALL), Row("small", "linear", *SMALL),
    # 32 by 32 frames, at the depths of the papers' experiment; the Π-net has at most 0.62 of the parameters.
    Row("papers", "relu", "48:3:1:1", "48:3:3:1:1,64:4:3:1:2,96:6:3:1:2,144:3:3:1:2", SQUARE),
    Row("papers", "pi-relu", "48:3:1:1", "48:3:3:1:1,64:3:3:1:2,96:3:3:1:2,140:2:3:1:2", SQUARE),
    Row("narrow small", "pi-relu", *NARROW_SMALL), Row("narrow base", "pi-relu", *NARROW_BASE),
    # With recordings that are hardly varied, nets differ by how much they overfit rather than by what they cannot learn
    # at all.
    *(Row("small, light augmentation", arch, *SMALL, ("--augment", "light"), arch == "rpoly")
      for arch in ("relu", "pi", "rpoly", "pi1x1")),
    # Without any activation function, at the relu net's multiply-adds, on the same data.
    Row("equal multiply-adds", "relu", *SMALL),
    Row("equal multiply-adds", "star", "32:5:1:1", "32:3:9:2:2,36:3:9:1:2,46:3:9:0:2", ("--expansion", 2)),
    Row("base", "linear", *BASE),
    *(Row("small", arch, *SMALL) for arch in ("pi1x1", "pi-relu", "pi1x1-relu", "ccp", "ncp", "ncp-skip", "pi-tanh")),
]
