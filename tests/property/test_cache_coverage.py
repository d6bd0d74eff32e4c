"""Coverage against a table of single microseconds, each with what is known of it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.cache.coverage import Reason, Segment, inside, join_settled, outside, put

LENGTH = 30
instants = st.integers(0, LENGTH - 1)
spans = st.tuples(instants, instants).map(sorted)


@st.composite
def segments(draw):
    start, end = draw(spans)
    reason = draw(st.sampled_from([Reason.PRESENT, Reason.FAILED, Reason.CONFIRMED_EMPTY, Reason.NOT_FINAL]))
    # Few times and files, so that neighbours are often alike.
    at = draw(st.sampled_from([1.0, 2.0, 3.0]))
    return Segment(start, end, reason, at, draw(st.sampled_from(["", "f", "g"])))


answers = st.lists(segments(), max_size=12)


def table_of(found):
    """Return microsecond -> what is known of it; fails where two segments speak of one."""
    table = {}
    for segment in found:
        assert segment.start <= segment.end
        for instant in range(segment.start, segment.end + 1):
            assert instant not in table
            table[instant] = (segment.reason, segment.fetched_at, segment.file_key)
    return table


def told(answers_in_order):
    table = {}
    for segment in answers_in_order:
        for instant in range(segment.start, segment.end + 1):
            table[instant] = (segment.reason, segment.fetched_at, segment.file_key)
    return table


def is_tidy(found):
    return list(found) == sorted(found, key=lambda segment: segment.start)


@given(answers, answers)
def test_the_latest_answer_for_each_microsecond_counts(first, second):
    known = put((), first)
    found = put(known, second)
    assert table_of(found) == told([*first, *second])
    assert is_tidy(found)


@given(answers)
def test_what_is_alike_and_touches_is_one_segment(said):
    found = put((), said)
    for left, right in itertools.pairwise(found):
        alike = (left.reason, left.fetched_at, left.file_key) == (right.reason, right.fetched_at, right.file_key)
        assert not (alike and left.end + 1 == right.start)


@given(answers, answers)
def test_answers_one_by_one_come_to_the_same(first, second):
    one_by_one = put((), first)
    for segment in second:
        one_by_one = put(one_by_one, [segment])
    assert put(put((), first), second) == one_by_one


@given(answers)
def test_what_is_said_twice_is_said_once(said):
    assert put(put((), said), put((), said)) == put((), said)


@given(answers, spans)
def test_inside_is_the_table_between_two_instants(said, span):
    known = put((), said)
    start, end = span
    expected = {at: what for at, what in table_of(known).items() if start <= at <= end}
    found = list(inside(known, start, end))
    assert table_of(found) == expected
    assert is_tidy(found)


@given(answers, spans)
def test_inside_and_outside_are_the_whole(said, span):
    known = put((), said)
    parts = [*inside(known, *span), *(part for segment in known for part in outside(segment, *span))]
    assert table_of(parts) == table_of(known)


@given(answers, st.sampled_from([0.0, 1.5, 2.5, 9.0]))
def test_joining_what_is_settled_moves_no_file_and_no_reason_and_makes_nothing_younger(said, before):
    known = put((), said)
    old, new = table_of(known), table_of(join_settled(known, before))
    assert old.keys() == new.keys()
    for at, (reason, fetched_at, key) in new.items():
        assert (reason, key) == (old[at][0], old[at][2])
        assert fetched_at <= old[at][1]
        if old[at][1] >= before or reason is not Reason.PRESENT:
            assert fetched_at == old[at][1]
