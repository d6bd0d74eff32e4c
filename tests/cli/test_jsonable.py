"""Values of the library as plain JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rustybt.cli.jsonable import to_jsonable


@dataclass(frozen=True)
class Plain:
    price: Decimal
    day: date


class WithOwnForm:
    def to_json(self):
        return {"at": Path("/data")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("0.00000712"), "0.00000712"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (Decimal("123456789.123456789"), "123456789.123456789"),
        (date(2020, 2, 29), "2020-02-29"),
        (datetime(2020, 2, 29, 14, 31, tzinfo=UTC), "2020-02-29T14:31:00+00:00"),
        (pd.Timestamp("2020-02-29"), "2020-02-29T00:00:00"),
        (timedelta(minutes=2), 120.0),
        (np.int64(3), 3),
        (np.float64("nan"), None),
        (np.float64(0.25), 0.25),
        (Path("a/b"), str(Path("a/b"))),
        ({2, 1}, [1, 2]),
        ((1, "x"), [1, "x"]),
        (MappingProxyType({1: Decimal("2.50")}), {"1": "2.50"}),
        (Plain(Decimal("1.10"), date(2000, 1, 3)), {"price": "1.10", "day": "2000-01-03"}),
        (WithOwnForm(), {"at": str(Path("/data"))}),
        (pl.Series([1, 2]), [1, 2]),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
    ],
)
def test_a_value_becomes_json_that_loses_no_digit(value, expected):
    found = to_jsonable(value)
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


def test_decimals_never_become_floats():
    assert isinstance(to_jsonable({"price": Decimal(1)})["price"], str)
