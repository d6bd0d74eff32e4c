"""What stays, and what the deprecated names cost those who do not use them."""

import subprocess
import sys
import warnings

import pytest

from rustybt.cli.main import invoke
from rustybt.data import adapters
from rustybt.data.bundles.store import bundle
from rustybt.data.polars import ParquetWriter
from rustybt.data.portal import PolarsDataPortal
from rustybt.errors import DataQualityError, RequestError
from rustybt.testing.bars import frame_of_bars


def test_the_command_for_csvdir_stays_without_a_warning(tmp_path, own_home, capsys):
    (tmp_path / "csvs" / "daily").mkdir(parents=True)
    (tmp_path / "csvs" / "daily" / "A.csv").write_text(
        "date,open,high,low,close,volume,dividend,split\n2024-01-02,1,3,0.5,2,10,0,1\n2024-01-03,2,3,1,2.25,20,0,1\n"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert invoke(["ingest", "csvdir", "--csvdir", str(tmp_path / "csvs")]) == 0
    assert [warning for warning in caught if warning.category is DeprecationWarning] == []
    assert "csvdir" in capsys.readouterr().out
    with bundle("csvdir") as opened:
        expected = [("A", "2024-01-02", "1", "3", "0.5", "2", "10"), ("A", "2024-01-03", "2", "3", "1", "2.25", "20")]
        assert opened.read().equals(frame_of_bars(expected))


def test_the_adapters_room_stays_light():
    code = (
        "import sys, rustybt.data.adapters\n"
        "from rustybt.data.adapters.base import BaseDataAdapter\n"
        "heavy = [name for name in sys.modules if name.startswith(('rustybt.data.sources', 'rustybt.data.old_adapters', 'pandas'))]\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_an_adapter_that_never_was_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'QuandlAdapter'"):
        adapters.QuandlAdapter  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'OldAdapter'"):
        adapters.OldAdapter  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        adapters.nothing  # noqa: B018


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_adapter_that_a_user_derived_warns_under_the_old_name(tmp_path):
    class Mine(adapters.CSVAdapter):
        pass

    with pytest.warns(DeprecationWarning, match=r"^rustybt\.data\.adapters\.CSVAdapter is deprecated"):
        Mine(tmp_path)


def test_a_frame_that_is_neither_old_nor_of_the_contract_is_refused_as_ever(own_home):
    days = frame_of_bars([("A", "2024-01-02", "1")])
    for frame in (days.drop("symbol"), days.drop("close"), days.with_columns(extra=1), None):
        with pytest.raises(DataQualityError):
            ParquetWriter(own_home / "us").write_daily_bars(frame)
    assert not own_home.exists()


def test_a_portal_still_takes_a_data_source_third_and_whether_to_cache_fourth():
    with pytest.raises(RequestError, match="the portal needs bars"):
        PolarsDataPortal(None, "XNYS", None, False)
