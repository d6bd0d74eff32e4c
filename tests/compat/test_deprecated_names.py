"""Every deprecated name works, and says on its user's line what to use instead, since when, and until when."""

from __future__ import annotations

import inspect
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

from rustybt.__about__ import __version__
from rustybt.deprecations import DEPRECATIONS, warn_deprecated
from tests.compat.exercises import load_exercises

EXERCISES = load_exercises()


def numbers(version):
    return tuple(int(part) for part in version.split("."))


def last_word(name):
    """What a line that uses the name must spell: its last part, or the keyword of ``f(keyword=)``."""
    return re.findall(r"\w+", name)[-1]


def test_each_entry_has_an_exercise_and_each_exercise_its_entries():
    exercised = {name for exercise in EXERCISES for name in exercise.names}
    assert sorted(exercised) == sorted(DEPRECATIONS)
    assert all(exercise.names for exercise in EXERCISES)


@pytest.mark.parametrize("exercise", EXERCISES, ids=str)
def test_a_deprecated_name_works_and_warns_on_the_line_that_uses_it(exercise, request):
    fixtures = {name: request.getfixturevalue(name) for name in inspect.signature(exercise.run).parameters}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exercise.run(**fixtures)
    issued = {}
    for warning in caught:
        assert warning.category is DeprecationWarning, str(warning.message)
        issued.setdefault(str(warning.message), []).append(warning)
    assert sorted(issued) == sorted(DEPRECATIONS[name].message for name in exercise.names)
    own = Path(inspect.getsourcefile(exercise.run))
    lines = own.read_text(encoding="utf-8").splitlines()
    for name in exercise.names:
        for warning in issued[DEPRECATIONS[name].message]:
            assert Path(warning.filename) == own
            assert last_word(name) in lines[warning.lineno - 1]


@pytest.mark.parametrize("entry", DEPRECATIONS.values(), ids=lambda entry: entry.name)
def test_a_warning_names_what_since_until_and_the_successor(entry):
    for told in (entry.name, entry.successor, entry.since, entry.removed_in, entry.note):
        assert told in entry.message
    assert numbers(entry.since) <= numbers(__version__) < numbers(entry.removed_in)


@pytest.mark.parametrize("entry", DEPRECATIONS.values(), ids=lambda entry: entry.name)
def test_a_successor_that_is_named_exists(entry):
    for path in re.findall(r"rustybt(?:\.\w+)+", entry.successor):
        pkgutil.resolve_name(path)


def test_a_warning_points_to_the_line_that_calls_the_deprecated_function():
    name = next(iter(DEPRECATIONS))

    def old():
        warn_deprecated(name)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old()
        line = inspect.currentframe().f_lineno - 1
    assert [(Path(warning.filename), warning.lineno) for warning in caught] == [(Path(__file__), line)]


def test_a_name_that_is_not_in_the_table_cannot_be_warned_of():
    with pytest.raises(KeyError, match="no_such_name"):
        warn_deprecated("no_such_name")
