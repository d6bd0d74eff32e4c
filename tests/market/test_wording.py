"""Lists in messages."""

from rustybt.market.wording import listed


def test_a_short_list_is_told_whole_and_a_long_one_says_how_many_more():
    assert listed([]) == ""
    assert listed(["A", "B"], most=2) == "A, B"
    assert listed(["A", "B", "C"], most=2) == "A, B and 1 more"
    assert listed(["A"] * 1_205) == "A, A, A, A, A and 1,200 more"
