import inspect
import pickle

import pytest

from rustybt import errors
from rustybt.errors import (
    BadResponseError,
    BundleNotFoundError,
    MissingDependencyError,
    RequestError,
    RustybtError,
    StorageError,
    VersionNotFoundError,
)

# Some have a second name, Zipline's.
KINDS = list(
    dict.fromkeys(kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RustybtError))
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_has_a_code_of_its_own_an_exit_code_and_a_place_in_the_tree(kind):
    assert kind.code
    assert [other for other in KINDS if other.code == kind.code] == [kind]
    assert kind.exit_code in {1, 2, 3, 4, 5, 6}
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_shows_message_and_hint_and_carries_its_details(kind):
    error = kind("AAPL went wrong", hint="try again", symbol="AAPL")
    assert str(error) == "AAPL went wrong\n  hint: try again"
    assert error.symbol == "AAPL"
    assert error.details == {"symbol": "AAPL"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = error.nothing
    assert str(kind("just this")) == "just this"


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_crosses_a_process_border(kind):
    error = pickle.loads(pickle.dumps(kind("what", hint="how", rows=3)))
    assert (type(error), error.message, error.hint, error.rows) == (kind, "what", "how", 3)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (RequestError, ValueError),
        (MissingDependencyError, ImportError),
        (BadResponseError, ValueError),
        (BundleNotFoundError, KeyError),
        (VersionNotFoundError, KeyError),
        (StorageError, OSError),
    ],
)
def test_errors_are_also_what_python_code_expects(kind, builtin):
    assert issubclass(kind, builtin)
