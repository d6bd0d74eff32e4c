"""What is covered, and why: intervals that replace, cut and join each other."""

from rustybt.data.cache.coverage import Reason, Segment, inside, join_settled, outside, put

PRESENT, EMPTY, FAILED = Reason.PRESENT, Reason.CONFIRMED_EMPTY, Reason.FAILED


def seg(start, end, reason=PRESENT, at=100.0, key="f"):
    return Segment(start, end, reason, at, key)


class TestPut:
    def test_a_first_answer_is_all_that_is_known(self):
        assert put((), [seg(10, 20)]) == (seg(10, 20),)

    def test_a_later_answer_cuts_the_middle_out_of_an_earlier_one(self):
        assert put([seg(0, 99)], [seg(40, 59, at=200.0, key="g")]) == (
            seg(0, 39),
            seg(40, 59, at=200.0, key="g"),
            seg(60, 99),
        )

    def test_a_later_answer_swallows_what_lies_inside_it(self):
        known = [seg(0, 9), seg(20, 29, EMPTY, key=""), seg(40, 49)]
        assert put(known, [seg(5, 45, at=200.0, key="g")]) == (seg(0, 4), seg(5, 45, at=200.0, key="g"), seg(46, 49))

    def test_one_microsecond_is_an_interval_too(self):
        assert put([seg(0, 2)], [seg(1, 1, FAILED, 200.0)]) == (seg(0, 0), seg(1, 1, FAILED, 200.0), seg(2, 2))

    def test_touching_intervals_of_one_answer_in_one_file_are_one(self):
        assert put([seg(0, 9)], [seg(10, 19)]) == (seg(0, 19),)

    def test_neighbours_that_differ_in_reason_time_or_file_stay_apart(self):
        for other in (seg(10, 19, FAILED), seg(10, 19, at=101.0), seg(10, 19, key="g")):
            assert put([seg(0, 9)], [other]) == (seg(0, 9), other)

    def test_a_gap_of_one_microsecond_is_not_bridged(self):
        assert put([seg(0, 9)], [seg(11, 19)]) == (seg(0, 9), seg(11, 19))

    def test_of_what_is_added_the_later_counts(self):
        assert put((), [seg(0, 9), seg(3, 5, FAILED)]) == (seg(0, 2), seg(3, 5, FAILED), seg(6, 9))

    def test_what_is_known_may_come_in_any_order(self):
        assert put([seg(20, 29), seg(0, 9)], [seg(40, 49)]) == (seg(0, 9), seg(20, 29), seg(40, 49))


class TestParts:
    def test_outside_leaves_both_sides(self):
        assert outside(seg(0, 9), 3, 5) == [seg(0, 2), seg(6, 9)]

    def test_outside_of_all_of_it_is_nothing(self):
        assert outside(seg(3, 5), 3, 5) == []
        assert outside(seg(3, 5), 0, 9) == []

    def test_outside_of_another_time_is_all_of_it(self):
        assert outside(seg(3, 5), 6, 9) == [seg(3, 5)]
        assert outside(seg(3, 5), 0, 2) == [seg(3, 5)]

    def test_inside_cuts_at_both_ends_and_includes_them(self):
        known = (seg(0, 9), seg(10, 19, EMPTY, key=""), seg(30, 39))
        assert list(inside(known, 9, 30)) == [seg(9, 9), seg(10, 19, EMPTY, key=""), seg(30, 30)]

    def test_inside_a_gap_is_nothing(self):
        assert list(inside((seg(0, 9), seg(30, 39)), 10, 29)) == []


class TestJoinSettled:
    def test_neighbours_of_one_file_become_as_old_as_the_oldest(self):
        known = (seg(0, 9, at=100.0), seg(10, 19, at=50.0), seg(20, 29, at=70.0))
        assert join_settled(known, before=101.0) == (seg(0, 29, at=50.0),)

    def test_one_that_is_not_old_enough_stays_apart(self):
        known = (seg(0, 9, at=100.0), seg(10, 19, at=200.0))
        assert join_settled(known, before=200.0) == known

    def test_other_files_gaps_and_other_reasons_stay_apart(self):
        for known in (
            (seg(0, 9), seg(10, 19, key="g")),
            (seg(0, 9), seg(11, 19)),
            (seg(0, 9, EMPTY, 1.0, ""), seg(10, 19, EMPTY, 2.0, "")),
            (seg(0, 9, FAILED, 1.0), seg(10, 19, FAILED, 2.0)),
        ):
            assert join_settled(known, before=1e9) == known

    def test_nothing_is_nothing(self):
        assert join_settled((), before=1.0) == ()
