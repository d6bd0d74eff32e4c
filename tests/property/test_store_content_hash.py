"""The content hash against its specification, re-implemented with plain integers in `rustybt.testing.reference_hash`."""

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rustybt.data.bundles import content_hash as module
from rustybt.data.bundles.content_hash import content_hash, hash_blocks, merge_blocks, months_of
from rustybt.data.bundles.storage.parquet import decode_bars, encode_bars, narrow_bars
from rustybt.testing.bars import frame_of_bars
from rustybt.testing.reference_hash import reference_block, reference_hash

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EDGES = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "0.000000000000000001", "0", "-0.10"]

# Decimal arithmetic rounds to 28 digits in the default context.
WIDE = Context(prec=60)


def scaled(number, scale):
    return Decimal(number).scaleb(-scale, WIDE)


numbers = st.one_of(
    st.builds(scaled, st.integers(-(10**20) + 1, 10**20 - 1), st.integers(0, 18)),
    st.builds(scaled, st.integers(-999, 999), st.integers(0, 18)),
    st.builds(scaled, st.integers(-(10**38) + 1, 10**38 - 1), st.just(18)),
    st.sampled_from([Decimal(text) for text in EDGES]),
)
moments = st.builds(
    lambda day, second: EPOCH + timedelta(days=day, seconds=second), st.integers(-40, 60), st.sampled_from([0, 34_200])
)
symbols = st.sampled_from(["A", "B", "=cmd|x", "\N{SMILING FACE WITH SUNGLASSES}", "e\u0301"])
held_bars = st.dictionaries(
    st.tuples(symbols, moments), st.lists(numbers, min_size=5, max_size=5).map(tuple), min_size=1, max_size=12
)


def frame_of(held):
    return frame_of_bars((*key, *values) for key, values in held.items())


def expected_blocks(held):
    months = {}
    for (symbol, moment), values in held.items():
        months.setdefault((symbol, (moment.year - 1970) * 12 + moment.month - 1), []).append((moment, values))
    return {key: (len(rows), reference_block("1d", key[0], rows)) for key, rows in months.items()}


def digests(frame):
    return {
        (row["symbol"], row["month"]): (row["rows"], row["digest"])
        for row in hash_blocks(frame, "1d").iter_rows(named=True)
    }


@given(held_bars)
@settings(max_examples=100, deadline=None)
@example({("A", EPOCH): (Decimal("1e-18"), Decimal(10**19), Decimal(0), Decimal(-1), Decimal(99999999999999999999))})
def test_blocks_hash_as_specified_whatever_the_width_of_their_decimals(held):
    wide = frame_of(held)
    expected = expected_blocks(held)
    assert digests(wide) == expected
    assert digests(narrow_bars(wide)) == expected
    assert digests(decode_bars(encode_bars(narrow_bars(wide)))) == expected


@given(held_bars)
@settings(max_examples=60, deadline=None)
def test_the_fast_path_and_the_exact_path_give_the_same_bytes(held):
    for block in _blocks(held):
        symbol, stamps = block["symbol"][0], block["timestamp"].to_physical().to_numpy()
        exact = module._digest_exactly(block, "1d", symbol, stamps, int(months_of(stamps)[0]))
        assert hash_blocks(block, "1d")["digest"].to_list() == [exact]


def _blocks(held):
    months = pl.col("timestamp").dt.strftime("%Y-%m").alias("month")
    return [part.drop("month") for part in frame_of(held).with_columns(months).partition_by("symbol", "month")]


@given(held_bars, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_root_covers_every_series_in_one_order(held, random):
    described = {"assets": {"A": {"name": "Größe"}}, "actions": [{"b": 1, "a": 2}], "aliases": []}
    parts = [hash_blocks(block, "1d") for block in _blocks(held)]
    random.shuffle(parts)
    merged = parts[0].clear()
    for part in parts:
        merged = merge_blocks(merged, part)
    assert content_hash(merged, described) == reference_hash({"1d": held}, described)


@given(held_bars, st.data())
@settings(max_examples=60, deadline=None)
def test_any_digit_changes_the_hash_and_a_trailing_zero_does_not(held, data):
    key = data.draw(st.sampled_from(sorted(held, key=repr)))
    at = data.draw(st.integers(0, 4))
    step = data.draw(st.sampled_from(["1e-18", "1", "-1e-7"]))
    changed = {other: list(values) for other, values in held.items()}
    value = changed[key][at]
    changed[key][at] = WIDE.add(value, Decimal(step))
    if abs(changed[key][at]) < 10**20:
        assert digests(frame_of(changed)) != digests(frame_of(held))
    padded = {other: [Decimal(format(v, ".18f")) for v in values] for other, values in held.items()}
    assert digests(frame_of(padded)) == digests(frame_of(held))


def test_a_block_of_known_bytes_has_a_known_digest():
    """Two bars of January 1970, spelled out by hand."""
    import hashlib
    import struct

    frame = frame_of_bars(
        [("AB", "1970-01-02", "1.50", "2", "1", "1.25", 100), ("AB", "1970-01-05", "1.5", "3", "1", "2", 200)]
    )
    text = b"".join(struct.pack("<H", len(part)) + part for part in (b"rustybt-bars-1", b"1d", b"AB"))
    # open needs one decimal, close two; all the others none, for trailing zeros before the point stay
    header = struct.pack("<iq", 0, 2) + bytes([1, 0, 0, 2, 0, 8])
    rows = struct.pack("<6q", 86_400_000_000, 15, 2, 1, 125, 100) + struct.pack(
        "<6q", 4 * 86_400_000_000, 15, 3, 1, 200, 200
    )
    assert hash_blocks(frame, "1d")["digest"].to_list() == [hashlib.sha256(text + header + rows).digest()]


def test_a_huge_volume_among_small_ones_hashes_block_by_block():
    """One column beyond 64 bits sends a whole file to the exact path: blocks that fit keep their digests."""
    rows = [(s, f"2024-{m:02d}-03", "1.5", "2", "1", "1.25", 100 + m) for s in "ABC" for m in range(1, 7)]
    alone = digests(frame_of_bars(rows))
    together = digests(frame_of_bars([*rows, ("BB", "2024-02-01", "1", "1", "1", "1", 10**19 + 1)]))
    assert {key: together[key] for key in alone} == alone
    assert len(together) == len(alone) + 1


def test_no_bars_have_no_blocks():
    assert hash_blocks(frame_of_bars([]), "1d").is_empty()
    empty = hash_blocks(frame_of_bars([]), "1d")
    assert content_hash(empty, {}) == reference_hash({}, {})
