"""A source in a package of its own: built as a wheel, installed, found by its entry point, used from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

SOURCE = '''
"""A source of a company's own."""
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from rustybt.data.sources import DataSource
from rustybt.errors import SymbolNotFoundError
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.provenance import SourceMetadata


class AcmeDataSource(DataSource):
    """Bars of Acme's desk.

    Parameters
    ----------
    level
        Price of every bar.
    """

    name = "acme"

    def __init__(self, *, level: str = "10.50"):
        self.level = level

    async def fetch(self, symbols, start, end, frequency="1d"):
        request = self.request(symbols, start, end, frequency)
        if "NOPE" in request.symbols:
            raise SymbolNotFoundError("acme knows no NOPE", symbol="NOPE")
        price = Decimal(self.level)
        days = [datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3, 4, 5)]
        rows = [(day, s, price, price, price, price, Decimal(7)) for s in sorted(request.symbols) for day in days]
        return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row").filter(request.in_range())

    def get_metadata(self):
        return SourceMetadata(source_type="acme", source_url="acme://desk")

    def supports_live(self):
        return False

    def options(self):
        return {"level": self.level}
'''

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-bars"
version = "1.0"

[project.entry-points."rustybt.sources"]
acme = "acme_bars:AcmeDataSource"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """Build the wheel, install it beside rustybt, and return the environment in which it is found."""
    project = tmp_path_factory.mktemp("acme")
    (project / "acme_bars").mkdir()
    (project / "acme_bars" / "__init__.py").write_text(textwrap.dedent(SOURCE))
    (project / "pyproject.toml").write_text(PROJECT)
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    quiet = {"check": True, "capture_output": True, "timeout": 120}
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(project), str(project)], **quiet
    )
    (wheel,) = project.glob("acme_bars-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], **quiet)
    return {**os.environ, "PYTHONPATH": str(site)}


def rustybt(environment, *words, home):
    return subprocess.run(
        [sys.executable, "-m", "rustybt", *words],
        env={**environment, "RUSTYBT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_listed_with_the_package_that_brings_it(installed, tmp_path):
    shown = json.loads(rustybt(installed, "sources", "list", "--json", home=tmp_path).stdout)
    (acme,) = (source for source in shown["sources"] if source["name"] == "acme")
    assert (acme["available"], acme["origin"]) == (True, "acme-bars")
    assert acme["options"] == {"level": "Price of every bar."}


def test_it_ingests_with_its_own_options_and_updates_from_what_was_recorded(installed, tmp_path):
    ingest = ["ingest", "acme", "--bundle", "desk", "--symbols", "A,B,NOPE", "--level", "12.25"]
    done = rustybt(installed, *ingest, "--json", home=tmp_path)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert (report["rows"], list(report["failures"])) == (8, ["NOPE"])
    again = rustybt(installed, "update", "desk", "--json", home=tmp_path)
    assert again.returncode in (0, 3), again.stderr
    assert json.loads(again.stdout)["updates"][0]["unchanged"] is True
    exported = rustybt(
        installed, "bundle", "export", "desk", "--to", "csv", "--output", str(tmp_path / "out"), home=tmp_path
    )
    assert exported.returncode == 0, exported.stderr
    assert "12.25" in next((tmp_path / "out").rglob("*.csv")).read_text()


def test_without_the_package_its_name_is_unknown(tmp_path):
    done = rustybt(dict(os.environ), "ingest", "acme", "--bundle", "desk", home=tmp_path)
    assert done.returncode == 2
    assert "unknown source 'acme'" in done.stderr
