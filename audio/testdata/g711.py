"""Prints the checksums that TestG711 expects: CPython's audioop is an independent G.711 (Python 3.12 or older).

decoded: CRC-32 of the 256 codes' linear values, as little-endian int16, in the order of the codes.
encoded: CRC-32 of the codes of all linear values from -32768 to 32767. For mu-law, audioop drops two bits of negative
values towards minus infinity; here they get the code of their magnitude, with the sign bit.
"""
import audioop
import struct
import zlib


def int16(v):
    return struct.pack("<h", v)


def mu_law(v):
    code = audioop.lin2ulaw(int16(min(abs(v), 32767)), 2)
    return bytes([code[0] & 0x7F]) if v < 0 else code


def a_law(v):
    return audioop.lin2alaw(int16(v), 2)


codes = bytes(range(256))
for name, decode, encode in (("ALaw", audioop.alaw2lin, a_law), ("MuLaw", audioop.ulaw2lin, mu_law)):
    encoded = b"".join(encode(v) for v in range(-32768, 32768))
    print(name, "decoded %#010x encoded %#010x" % (zlib.crc32(decode(codes, 2)), zlib.crc32(encoded)))
