"""Start-up is a budget: what must not be imported before it is needed."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    *("polars", "pandas", "numpy", "pyarrow", "sqlalchemy", "exchange_calendars", "matplotlib", "empyrical"),
    *("structlog", "asyncio", "scipy"),
)


def modules_after(program):
    code = f"{program}\nimport json, sys\nsys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr))


def test_importing_rustybt_imports_nothing_heavy():
    loaded = modules_after("import rustybt; dir(rustybt); rustybt.__version__")
    assert not loaded & {*HEAVY, "typer", "rich"}
    assert {name for name in loaded if name.startswith("rustybt")} == {"rustybt", "rustybt.__about__"}


@pytest.mark.parametrize(
    "words",
    [
        *(["--help"], ["--version"], [], ["bundle", "--help"], ["ingest", "csv", "--help"]),
        *(["run", "--help"], ["cache", "--help"], ["cache", "warm", "--help"]),
    ],
)
def test_help_pages_import_nothing_heavy(words):
    loaded = modules_after(f"from rustybt.cli.main import invoke\ninvoke({words!r})")
    assert not loaded & set(HEAVY)


def test_the_root_help_page_imports_no_command():
    loaded = modules_after("from rustybt.cli.main import invoke\ninvoke(['--help'])")
    commands = {"ingest", "bundle", "run", "demo", "doctor", "config", "sources", "replay", "report", "update", "cache"}
    assert not {f"rustybt.cli.{name}" for name in commands} & loaded


def test_running_a_command_without_data_does_not_load_the_data_stack():
    loaded = modules_after("from rustybt.cli.main import invoke\ninvoke(['config', 'show', '--json'])")
    assert not loaded & {"polars", "pandas", "pyarrow", "sqlalchemy", "exchange_calendars"}


def test_every_public_name_resolves():
    import rustybt

    for name in rustybt.__all__:
        assert getattr(rustybt, name) is not None
    assert set(rustybt.__all__) <= set(dir(rustybt))


def test_an_unknown_name_is_an_attribute_error():
    import rustybt

    with pytest.raises(AttributeError, match="no_such_name"):
        rustybt.no_such_name  # noqa: B018
