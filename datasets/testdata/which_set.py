"""Writes which_set.txt: file names and the split that Google's Speech Commands code gives them (README.md of the data
set)."""

import hashlib
import random
import re

MAX_NUM_WAVS_PER_CLASS = 2**27 - 1  # ~134M


def which_set(filename, validation_percentage, testing_percentage):
    base_name = filename.rsplit("/", 1)[-1]
    hash_name = re.sub(r"_nohash_.*$", "", base_name)
    hash_name_hashed = hashlib.sha1(hash_name.encode()).hexdigest()
    percentage_hash = (int(hash_name_hashed, 16) % (MAX_NUM_WAVS_PER_CLASS + 1)) * (100.0 / MAX_NUM_WAVS_PER_CLASS)
    if percentage_hash < validation_percentage:
        return "validation"
    if percentage_hash < (testing_percentage + validation_percentage):
        return "testing"
    return "training"


random.seed(1)
with open("which_set.txt", "w") as out:
    for i in range(300):
        name = "%08x_nohash_%d.wav" % (random.getrandbits(32), i % 5) if i % 3 else "left/clip %d.WAV" % i
        print(which_set(name, 10, 10), name, sep="\t", file=out)
