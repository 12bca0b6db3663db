"""H.264's packets taken apart, as far as copying them needs it (ITU-T H.264; ISO/IEC 14496-15 for how .mp4 has it).

Nothing is decoded here: of a packet the kinds of its units, of parameter sets their numbers and a few facts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

SLICE, IDR, SPS, PPS = 1, 5, 7, 8  # table 7-1
PARTS = range(2, 5)  # of slices, in streams for bad lines
LAYERS = (14, 15, 20)  # of pictures at several sizes or from several sides
START = re.compile(rb"\x00\x00\x01")
PROFILES = {66: "baseline", 77: "main", 100: "high"}  # those of 8 bits and 4:2:0, and what x264 calls them
CHROMA_TOLD = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)  # profiles whose SPS says more (7.3.2.1.1)
SPS_NUMBERS, MOST_SETS = 32, 31


def kind(unit: bytes) -> int:
    """A unit's nal_unit_type."""
    return unit[0] & 31


def prefixed_units(data: bytes) -> list[bytes]:
    """The units of a packet as .mp4 and Matroska have them, each after its length in four bytes.

    ValueError where the lengths do not fit.
    """
    units, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        unit = data[at + 4 : at + 4 + size]
        if not size or len(unit) < size:
            raise ValueError("a packet is cut off")
        units.append(unit)
        at += 4 + size
    return units


def streamed_units(data: bytes) -> list[bytes]:
    """The units of a packet as transport streams, .avi and encoders have them, each after a start code (Annex B)."""
    return [unit for part in START.split(data)[1:] if (unit := part.rstrip(b"\0"))]


def prefixed(units: Iterable[bytes]) -> bytes:
    """Units as a packet for .mp4."""
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


@dataclass(frozen=True)
class ParameterSets:
    """What a stream's slices refer to: its sequence and picture parameter sets, as units."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    @classmethod
    def of(cls, units: Iterable[bytes]) -> "ParameterSets":
        """Those among some units."""
        units = list(units)
        return cls(tuple(u for u in units if kind(u) == SPS), tuple(u for u in units if kind(u) == PPS))

    @classmethod
    def read(cls, extradata: bytes) -> "ParameterSets":
        """Those of a stream's header, in either form. ValueError or IndexError if it is damaged."""
        if extradata[0] != 1:
            return cls.of(streamed_units(extradata))
        if extradata[4] & 3 != 3:
            raise ValueError("lengths of other than four bytes")
        at, sets = 6, []
        for first, count in ((True, extradata[5] & 31), (False, None)):
            if not first:
                count, at = extradata[at], at + 1
            for _ in range(count):
                size = int.from_bytes(extradata[at : at + 2], "big")
                sets.append(extradata[at + 2 : at + 2 + size])
                at += 2 + size
        if any(not unit for unit in sets):
            raise ValueError("an empty parameter set")
        return cls.of(sets)

    def header(self) -> bytes:
        """They as an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): it has the highest of their profiles
        and levels, and makes no promise that one of them does not keep."""
        promised = 255
        for sps in self.sps:
            promised &= sps[2]
        profile = max(sps[1] for sps in self.sps)
        head = bytes([1, profile, promised, max(sps[3] for sps in self.sps), 0xFF, 0xE0 | len(self.sps)])
        body = b"".join(len(unit).to_bytes(2, "big") + unit for unit in self.sps)
        body += bytes([len(self.pps)]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in self.pps)
        return head + body + (b"\xfd\xf8\xf8\x00" if profile == 100 else b"")  # 4:2:0, 8 and 8 bits

    def joined(self, others: "ParameterSets") -> "ParameterSets":
        """These and then others."""
        return ParameterSets(self.sps + others.sps, self.pps + others.pps)

    def free_number(self) -> int | None:
        """One that neither a sequence nor a picture parameter set has; None if there is none."""
        taken = {sps_facts(sps).number for sps in self.sps} | {_Bits(pps[1:]).golomb() for pps in self.pps}
        full = len(self.sps) >= MOST_SETS
        return None if full else next((n for n in range(SPS_NUMBERS) if n not in taken), None)


@dataclass(frozen=True)
class SpsFacts:
    """Of a sequence parameter set: its profile_idc, level_idc and number, what size the pictures have (in macroblocks,
    and what is cut off on each side), and whether all are whole frames."""

    profile: int
    level: int
    number: int
    size: tuple[int, ...]
    progressive: bool


def sps_facts(sps: bytes) -> SpsFacts:
    """What a sequence parameter set says (7.3.2.1.1). ValueError or IndexError if it is damaged."""
    bits = _Bits(sps[4:])
    profile, number = sps[1], bits.golomb()
    if profile in CHROMA_TOLD:
        chroma = bits.golomb()
        if chroma == 3:
            bits.take(1)
        bits.golomb()  # bits of luma and of chroma
        bits.golomb()
        bits.take(1)
        if bits.take(1):
            for n in range(12 if chroma == 3 else 8):
                _skip_scaling_list(bits, 16 if n < 6 else 64)
    bits.golomb()  # how frames are counted, and how their order is told
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        for _ in range(2):
            bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()  # references
    bits.take(1)
    size = (bits.golomb(), bits.golomb())
    progressive = bool(bits.take(1))
    bits.take(1 if progressive else 2)
    if bits.take(1):
        size += tuple(bits.golomb() for _ in range(4))
    return SpsFacts(profile, sps[3], number, size, progressive)


def _skip_scaling_list(bits: "_Bits", size: int) -> None:
    """7.3.2.1.1.1"""
    if not bits.take(1):
        return
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.golomb()
            following = (last + (-(code // 2) if code % 2 == 0 else (code + 1) // 2)) % 256
        last = following or last


class _Bits:
    """A unit's bits, without the bytes that keep start codes out of it (7.4.1)."""

    def __init__(self, data: bytes):
        data = data.replace(b"\0\0\3", b"\0\0")
        self.bits, self.at = "".join(f"{byte:08b}" for byte in data), 0

    def take(self, count: int) -> int:
        """That many bits, as a number. IndexError at the end."""
        if self.at + count > len(self.bits):
            raise IndexError("a parameter set is cut off")
        self.at += count
        return int(self.bits[self.at - count : self.at] or "0", 2)

    def golomb(self) -> int:
        """A number as ue(v) has it (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
