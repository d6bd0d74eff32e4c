"""A grid is the list of its combinations."""

import itertools

import numpy as np
import pytest

from rustybt.errors import RequestError
from rustybt.sweeps.grid import combinations


def test_each_value_comes_with_each_and_the_last_name_varies_fastest():
    assert combinations({"A": [1, 2], "B": ("x", "y")}) == (
        {"A": 1, "B": "x"},
        {"A": 1, "B": "y"},
        {"A": 2, "B": "x"},
        {"A": 2, "B": "y"},
    )


def test_a_list_of_mappings_is_taken_as_it_is():
    assert combinations(row for row in [{"B": 1}, {}, {"A": 2, "B": 3}]) == ({"B": 1}, {}, {"A": 2, "B": 3})


def test_numbers_of_numpy_become_those_of_python():
    (first, _) = combinations({"A": np.arange(5, 7)})
    assert type(first["A"]) is int
    assert first == {"A": 5}


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({}, "nothing to run"),
        ([], "nothing to run"),
        ({"A": []}, "gives 'A' no value"),
        ({"A": 5}, "gives 'A' 5, not a list"),
        ({"A": "abc"}, "gives 'A' 'abc', not a list"),
        ({"A B": [1]}, "'A B' in the grid is not a name"),
        ({5: [1]}, "5 in the grid is not a name"),
        ([["A", 1]], "holds mappings, not list"),
        ("A=5", "not str 'A=5'"),
        (None, "not NoneType None"),
    ],
)
def test_what_is_no_grid_is_refused_with_its_reason(grid, words):
    with pytest.raises(RequestError, match=words):
        combinations(grid)


@pytest.mark.parametrize(
    "grid",
    [
        {"X": range(10_000), "Y": range(10_000)},
        {"X": itertools.count()},
        ({"X": i} for i in itertools.count()),
    ],
    ids=["product", "endless values", "endless combinations"],
)
def test_a_grid_without_an_end_is_refused_before_it_fills_the_memory(grid):
    with pytest.raises(RequestError, match="more than 1,000,000 combinations"):
        combinations(grid)
