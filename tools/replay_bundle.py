#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verdict of a bundle, computed again without weir.

Written from docs/formats/fingerprint.md and docs/formats/bundle.md with the standard library alone: it
decodes the fingerprints, matches the units, places the bets and prints log10 of p for each candidate.

usage: replay_bundle.py BUNDLE                       prints NAME, p as stated, p as computed; 1 when they differ
       replay_bundle.py --model FOLDER BUNDLE        also checks the hash of each range of the model's files
       replay_bundle.py --pair MINE.weirfp THEIRS.weirfp [ENTRIES]
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

UNITS = 16
POINTS_MIN = 3  # fewer units in their place win nothing
STAKE_ON_ALL = 0.3
LOST_LAYER = 0.1
TOKENS_MIN = 64
SELF_LINK_POINTS = 7
UNUSED_COST = 1024
LOG10_E_DECIDED = 20
MASK = (1 << 64) - 1
TOLERANCE = 1e-6


# --- the fingerprint -------------------------------------------------------------------------------------


@dataclass
class Block:
    layer: int
    expert: int
    valid: list[int]
    is_sorted: bool
    up: list[int]
    gate: list[int] | None
    token: list[int] | None


@dataclass
class Fingerprint:
    hidden: int
    feed_forward: int
    tags: bytes | None
    blocks: list[Block] = field(default_factory=list)


class Cursor:
    """Little-endian numbers, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError(f"byte {self.at}: {count} bytes wanted, {len(self.data) - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def codes(self, bits: int) -> list[int]:
        """One code a unit; bit i of it is bit i % 64 of word i // 64."""
        return [self.number(bits // 8) for _ in range(UNITS)]


def decode(data: bytes) -> Fingerprint:
    """docs/formats/fingerprint.md, top to bottom."""
    cursor = Cursor(data)
    if cursor.take(8) != b"WEIRFP\r\n" or cursor.number(4) != 1:
        raise ValueError("no fingerprint of version 1")
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError("the fingerprint's SHA-256 differs")
    block_count, grid_count, flags = (cursor.number(4) for _ in range(3))
    cursor.take(8)  # parameters
    _tensors, hidden, feed_forward, _layers, _vocabulary, _tokens = (cursor.number(4) for _ in range(6))
    cursor.take(32 + 8 + 256)
    tags = None
    if flags & 1:
        tags = cursor.take(256)
        cursor.take(256)  # Gram signs
    cursor.take(grid_count * (4 + 9 * 4 + 9 * 8 * 4))
    out = Fingerprint(hidden, feed_forward, tags)
    for _ in range(block_count):
        layer, expert = struct.unpack("<ii", cursor.take(8))
        valid, block_flags = cursor.number(2), cursor.number(1)
        cursor.take(1 + 8 + 16 + 128)
        out.blocks.append(
            Block(
                layer=layer,
                expert=expert,
                valid=[unit for unit in range(UNITS) if valid >> unit & 1],
                is_sorted=bool(block_flags & 4),
                up=cursor.codes(128),
                gate=cursor.codes(128) if block_flags & 1 else None,
                token=cursor.codes(256) if block_flags & 2 else None,
            )
        )
    if len(data) - cursor.at != 32:
        raise ValueError(f"byte {cursor.at}: a SHA-256 and nothing more expected")
    return out


# --- units -----------------------------------------------------------------------------------------------


def mix(bits: int) -> int:
    """The finaliser of splitmix64."""
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & MASK
    return bits ^ bits >> 31


def mix_words(key: int, code: int, count: int) -> int:
    """Each word of a code in turn, mixed into the key."""
    for i in range(count):
        key = mix(key ^ code >> 64 * i & MASK)
    return key


@dataclass
class Frame:
    """By which codes units are compared, and which bits of them count."""

    by_tokens: bool
    token_mask: int
    is_chain: bool

    def key(self, block: Block, unit: int) -> int:
        """What a unit holds, as a number that its place has no part in."""
        if self.by_tokens:
            assert block.token
            return mix_words(1, block.token[unit], 4)
        key = mix_words(2, block.up[unit], 2)
        return mix_words(key, block.gate[unit], 2) if block.gate else key

    def units(self, block: Block) -> list[int]:
        """Those that take part, in the order of their keys; all units of an equal key stay out."""
        keys = {unit: self.key(block, unit) for unit in block.valid}
        counts: dict[int, int] = {}
        for key in keys.values():
            counts[key] = counts.get(key, 0) + 1
        return sorted((unit for unit in block.valid if counts[keys[unit]] == 1), key=lambda unit: keys[unit])

    def bits(self, a: Block, b: Block) -> int:
        if self.by_tokens:
            return self.token_mask.bit_count()
        return 256 if a.gate and b.gate else 128

    def distance(self, a: Block, u: int, b: Block, v: int) -> int:
        """Differing bits; an up row that changed its sign is the same row where a gate stands by it."""
        if self.by_tokens:
            assert a.token and b.token
            return ((a.token[u] ^ b.token[v]) & self.token_mask).bit_count()
        up = (a.up[u] ^ b.up[v]).bit_count()
        if not (a.gate and b.gate):
            return up
        return min(up, 128 - up) + (a.gate[u] ^ b.gate[v]).bit_count()

    def is_comparable(self, a: Block, b: Block) -> bool:
        if (a.is_sorted and b.is_sorted) or not a.valid or not b.valid:
            return False
        return not self.by_tokens or bool(a.token and b.token)

    def near(self, a: Block, b: Block, deviations: float) -> int:
        """A distance so many deviations below that of strangers."""
        bits = self.bits(a, b)
        nearer = 2 if not self.by_tokens and a.gate and b.gate else 0
        return bits // 2 - int(deviations * math.sqrt(bits) / 2) - nearer

    def is_promising(self, a: Block, b: Block) -> bool:
        """Whether enough units stand near their own place: 3 in blocks of one number, 5 elsewhere."""
        in_place = (a.layer, a.expert) == (b.layer, b.expert)
        near = self.near(a, b, 1.5 if in_place else 2.0)
        units = [unit for unit in a.valid if unit in b.valid and self.distance(a, unit, b, unit) <= near]
        return len(units) >= (3 if in_place else 5)

    def is_chain_promising(self, a: Block, b: Block) -> bool:
        """Whether at least 5 units have any unit near them."""
        near = self.near(a, b, 2.5)
        return sum(any(self.distance(a, u, b, v) <= near for v in range(UNITS)) for u in range(UNITS)) >= 5


# --- matching --------------------------------------------------------------------------------------------


def assign(cost: list[list[int]]) -> list[int]:
    """The column of each row in a cheapest assignment: rows enter one after the other, each by a shortest
    augmenting path; of equally near columns the one of the lowest number comes first."""
    n = len(cost)
    row_price, column_price = [0] * n, [0] * n
    row_of: list[int | None] = [None] * n
    for new_row in range(n):
        distance: list[float] = [math.inf] * n
        before: list[int | None] = [None] * n  # the column from whose row a column was reached
        order: list[int] = []
        row, column, base = new_row, None, 0
        while True:
            for j in range(n):
                if j in order:
                    continue
                reached = base + cost[row][j] - row_price[row] - column_price[j]
                if reached < distance[j]:
                    distance[j], before[j] = reached, column
            column = min((j for j in range(n) if j not in order), key=lambda j: (distance[j], j))
            base = int(distance[column])
            if row_of[column] is None:
                break
            order.append(column)
            row = row_of[column]  # type: ignore[assignment]
        row_price[new_row] += base
        for j in order:
            column_price[j] -= base - int(distance[j])
            row_price[row_of[j]] += base - int(distance[j])  # type: ignore[index]
        while column is not None:
            earlier = before[column]
            row_of[column] = new_row if earlier is None else row_of[earlier]
            column = earlier
    out = [0] * n
    for column, row in enumerate(row_of):
        out[row] = column  # type: ignore[index]
    return out


def match_places(frame: Frame, a: Block, b: Block) -> tuple[int, int]:
    """Units in their own place, and units that could be matched."""
    mine, theirs = frame.units(a), frame.units(b)
    of = min(len(mine), len(theirs))
    if of == 0:
        return 0, 0
    n = max(len(mine), len(theirs))
    cost = [[UNUSED_COST] * n for _ in range(n)]
    for i, u in enumerate(mine):
        for j, v in enumerate(theirs):
            cost[i][j] = frame.distance(a, u, b, v)
    columns = assign(cost)
    return sum(columns[i] < len(theirs) and theirs[columns[i]] == u for i, u in enumerate(mine)), of


def match_chain(frame: Frame, a: Block, b: Block) -> tuple[int, int]:
    """The longest rising chain of mutually nearest units, and how many of these there are."""
    if not frame.is_chain_promising(a, b):
        return 0, 0
    mine, theirs = frame.units(a), frame.units(b)
    if not mine or not theirs:
        return 0, 0
    cost = [[frame.distance(a, u, b, v) for v in theirs] for u in mine]
    partner = {}
    for i, u in enumerate(mine):
        j = min(range(len(theirs)), key=lambda j: (cost[i][j], j))
        if min(range(len(mine)), key=lambda k: (cost[k][j], k)) == i:
            partner[u] = theirs[j]
    length: dict[int, int] = {}
    for u in sorted(partner):
        length[u] = 1 + max((length[v] for v in length if partner[v] < partner[u]), default=0)
    return max(length.values(), default=0), len(partner)


def match_blocks(frame: Frame, a: Block, b: Block) -> tuple[int, int]:
    if frame.is_chain:
        return match_chain(frame, a, b)
    return match_places(frame, a, b) if frame.is_promising(a, b) else (0, 0)


# --- bets ------------------------------------------------------------------------------------------------


@cache
def tail(is_chain: bool, of: int, points: int) -> float:
    """P(at least `points` units in place) by chance, or a bound of it."""
    if is_chain:
        return min(1.0, math.comb(of, points) / math.factorial(points))
    if of < UNITS:
        return min(1.0, math.comb(of, points) * math.factorial(UNITS - points) / math.factorial(UNITS))
    derangements = [1]
    for m in range(1, UNITS + 1):
        derangements.append(m * derangements[-1] + (-1) ** m)
    ways = sum(math.comb(UNITS, j) * derangements[UNITS - j] for j in range(points, UNITS + 1))
    return ways / math.factorial(UNITS)


@cache
def bet(is_chain: bool, of: int, points: int) -> float:
    if of <= POINTS_MIN:
        return 0.0
    spread = (1 - STAKE_ON_ALL) / (of - POINTS_MIN)
    return sum((STAKE_ON_ALL if t == of else spread) / tail(is_chain, of, t) for t in range(POINTS_MIN, points + 1))


@dataclass
class Pair:
    mine: int
    theirs: int
    e: float
    same_place: bool


def group(frame: Frame, blocks: list[Block], matters: set[int]) -> list[int]:
    """Blocks of one model whose units stand in one order share a number."""
    groups = list(range(len(blocks)))
    places = Frame(frame.by_tokens, frame.token_mask, is_chain=False)
    for i in sorted(matters):
        for j in sorted(matters):
            if j >= i or not places.is_promising(blocks[i], blocks[j]):
                continue
            if match_places(places, blocks[i], blocks[j])[0] >= SELF_LINK_POINTS:
                old, new = groups[i], groups[j]
                groups = [new if number == old else number for number in groups]
    return groups


def take(pairs: list[Pair], mine: list[int], theirs: list[int], gain: Callable[[Pair], float | None]) -> float:
    """Sum of what the pairs gain, each group of blocks taking part once."""
    used_mine: set[int] = set()
    used_theirs: set[int] = set()
    total = 0.0
    for pair in pairs:
        won = gain(pair)
        if won is None or mine[pair.mine] in used_mine or theirs[pair.theirs] in used_theirs:
            continue
        used_mine.add(mine[pair.mine])
        used_theirs.add(theirs[pair.theirs])
        total += won
    return total


def evidence(frame: Frame, a: Fingerprint, b: Fingerprint) -> float:
    """log10 of E over all maps of blocks."""
    pairs = []
    for i, mine in enumerate(a.blocks):
        for j, theirs in enumerate(b.blocks):
            same_place = (mine.layer, mine.expert) == (theirs.layer, theirs.expert)
            if not frame.is_comparable(mine, theirs):
                continue
            points, of = match_blocks(frame, mine, theirs)
            e = bet(frame.is_chain, of, points)
            if e <= 0 and not same_place:
                continue
            pairs.append(Pair(i, j, e, same_place))
    if not pairs:
        return 0.0
    mine_groups = group(frame, a.blocks, {pair.mine for pair in pairs if pair.e > 0})
    their_groups = group(frame, b.blocks, {pair.theirs for pair in pairs if pair.e > 0})

    def in_place(pair: Pair) -> float | None:
        return math.log10(LOST_LAYER + (1 - LOST_LAYER) * pair.e) if pair.same_place else None

    price = math.log10(math.log(2) / (len(a.blocks) * len(b.blocks)))

    def anywhere(pair: Pair) -> float | None:
        gain = math.log10(pair.e) + price if pair.e > 0 else 0
        return gain if gain > 0 else None

    places = take(pairs, mine_groups, their_groups, in_place)
    best_first = sorted(pairs, key=lambda pair: (-pair.e, pair.mine, pair.theirs))
    maps = take(best_first, mine_groups, their_groups, anywhere)
    larger = max(places, maps)
    return larger + math.log10(0.5 * (10 ** (places - larger) + 10 ** (maps - larger)))


def log10_p(a: Fingerprint, b: Fingerprint, entries: int) -> float:
    is_chain = a.feed_forward != b.feed_forward
    larger = -math.inf
    if a.hidden == b.hidden:
        larger = evidence(Frame(False, 0, is_chain), a, b)
    if larger < LOG10_E_DECIDED and a.tags and b.tags:
        mask = sum(1 << t for t in range(256) if a.tags[t] and a.tags[t] == b.tags[t])
        if mask.bit_count() >= TOKENS_MIN:
            larger = max(larger, evidence(Frame(True, mask, is_chain), a, b))
    return min(0.0, math.log10(entries) + math.log10(2) - larger) if larger > -math.inf else 0.0


# --- the command -----------------------------------------------------------------------------------------


def check_ranges(bundle: dict, folder: Path) -> int:
    """How many ranges have another hash."""
    wrong = 0
    for item in bundle["ranges"]:
        path = folder / item["file"] if folder.is_dir() else folder
        with path.open("rb") as file:
            file.seek(item["offset"])
            is_same = hashlib.sha256(file.read(item["bytes"])).hexdigest() == item["sha256"]
        if not is_same:
            print(f"{item['file']}: byte {item['offset']}: another hash")
        wrong += not is_same
    return wrong


def replay(path: Path, model: Path | None) -> int:
    bundle = json.loads(path.read_text(encoding="utf-8"))
    if bundle["schema"] != "weir.bundle/1":
        raise ValueError("no weir.bundle/1")
    wrong = check_ranges(bundle, model) if model else 0
    mine = decode(bytes.fromhex(bundle["model"]["fingerprint"]))
    for candidate in bundle["candidates"]:
        if candidate["matched_by"] == "units":
            print(f"{candidate['name']}\t{candidate['log10_p']!r}\tneeds the weights")
            continue
        found = log10_p(mine, decode(bytes.fromhex(candidate["fingerprint"])), bundle["entries"])
        print(f"{candidate['name']}\t{candidate['log10_p']!r}\t{found!r}")
        wrong += abs(found - candidate["log10_p"]) > TOLERANCE
    return 1 if wrong else 0


def main(words: list[str]) -> int:
    if len(words) in (3, 4) and words[0] == "--pair":
        mine, theirs = (decode(Path(word).read_bytes()) for word in words[1:3])
        print(repr(log10_p(mine, theirs, int(words[3]) if len(words) == 4 else 1)))
        return 0
    if len(words) == 3 and words[0] == "--model":
        return replay(Path(words[2]), Path(words[1]))
    if len(words) == 1 and not words[0].startswith("-"):
        return replay(Path(words[0]), None)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
