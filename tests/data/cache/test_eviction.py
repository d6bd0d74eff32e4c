"""Which files leave."""

from rustybt.data.cache.eviction import CachedFile, choose_victims


def file(key, size, at):
    return CachedFile(key, "d", size, at)


def keys(victims):
    return [victim.file_key for victim in victims]


def test_within_the_limit_nothing_leaves():
    held = [file("a", 60, 1.0), file("b", 40, 2.0)]
    assert choose_victims(held, 100) == []


def test_one_byte_too_many_costs_the_least_recently_used():
    held = [file("b", 40, 2.0), file("a", 60, 1.0)]
    assert keys(choose_victims(held, 99)) == ["a"]


def test_as_many_leave_as_must_and_in_order_of_use():
    held = [file("c", 10, 3.0), file("a", 10, 1.0), file("d", 10, 4.0), file("b", 10, 2.0)]
    assert keys(choose_victims(held, 25)) == ["a", "b"]
    assert keys(choose_victims(held, 20)) == ["a", "b"]
    assert keys(choose_victims(held, 19)) == ["a", "b", "c"]


def test_a_small_old_file_leaves_before_a_large_newer_one():
    held = [file("small", 1, 1.0), file("large", 100, 2.0)]
    assert keys(choose_victims(held, 100)) == ["small"]


def test_parts_of_a_second_decide():
    held = [file("a", 10, 1_700_000_000.000002), file("b", 10, 1_700_000_000.000001)]
    assert keys(choose_victims(held, 10)) == ["b"]


def test_equal_times_leave_in_the_same_order_each_time():
    held = [file("b", 10, 1.0), file("a", 10, 1.0), file("c", 10, 1.0)]
    assert keys(choose_victims(held, 10)) == keys(choose_victims(reversed(held), 10)) == ["a", "b"]


def test_what_a_bundle_shares_frees_nothing_and_stays():
    held = [file("shared", 0, 1.0), file("mine", 10, 2.0)]
    assert keys(choose_victims(held, 0)) == ["mine"]


def test_a_limit_of_nothing_empties_the_cache():
    assert keys(choose_victims([file("a", 10, 1.0), file("b", 10, 2.0)], 0)) == ["a", "b"]


def test_an_empty_cache_has_nothing_to_lose():
    assert choose_victims([], 0) == []
