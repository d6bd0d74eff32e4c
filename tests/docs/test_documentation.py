"""Every documented block runs, every command, option, setting and error is documented."""

import contextlib
import importlib.util
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from rustybt import errors as rustybt_errors
from rustybt.cli.errors import EXIT_INTERRUPTED, EXIT_PIPE_CLOSED
from rustybt.cli.main import COMMANDS, load
from rustybt.config import setting_keys

ROOT = Path(__file__).resolve().parents[2]
#: Pages that read Zipline's files, which needs bcolz: the newest Python has no wheels of it.
OF_ZIPLINE = () if importlib.util.find_spec("bcolz") else ("coming-over.md",)
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in OF_ZIPLINE)]


def _load(name):
    spec = importlib.util.spec_from_file_location(f"documentation_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


blocks = _load("blocks")
deprecated_names = _load("deprecated_names")
old_worlds = _load("old_worlds")
reference = _load("reference")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names = {"__name__": "documentation"}
    if page.name == "coming-over.md":
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        monkeypatch.delenv("ZIPLINE_ROOT", raising=False)
        old_worlds.build(tmp_path / "user")
    with vendors(monkeypatch) if page.name in ("vendors.md", "cache.md") else contextlib.nullcontext():
        for block in blocks.blocks_of(page):
            blocks.run_block(block, names)


@contextlib.contextmanager
def vendors(monkeypatch):
    """Stand-ins of the vendors' servers, reached as a proxy and addresses in the environment say."""
    from tests.fakes.alpaca import AlpacaServer
    from tests.fakes.alphavantage import AlphaVantageServer
    from tests.fakes.binance import BinanceServer
    from tests.fakes.massive import MassiveServer
    from tests.fakes.yahoo import YahooServer

    with contextlib.ExitStack() as stack:
        yahoo = stack.enter_context(YahooServer(tls=True, proxy=True))
        others = {
            "CCXT": BinanceServer(),
            "POLYGON": MassiveServer(),
            "ALPACA": AlpacaServer(),
            "ALPHAVANTAGE": AlphaVantageServer(),
        }
        settings = {"YFINANCE_PROXY": yahoo.proxy_url, "YFINANCE_CA_BUNDLE": yahoo.ca_bundle}
        for name, server in others.items():
            settings[f"{name}_BASE_URL"] = stack.enter_context(server).url
            for variable, value in getattr(server, "environment", {}).items():
                monkeypatch.setenv(variable, value)
        for name in ("YFINANCE", *others):
            settings[f"{name}_REQUESTS_PER_MINUTE"] = "0"
        for setting, value in settings.items():
            monkeypatch.setenv(f"RUSTYBT_SOURCES_{setting}", value)
        for server in (yahoo, *others.values()):
            server.now = time.time()
        stack.enter_context(trading(others["CCXT"]))
        yield


@contextlib.contextmanager
def trading(exchange):
    """Let an exchange push one bar after the other to whoever listens; its minutes are short."""
    closed = threading.Event()

    def push():
        opened = int(exchange.now) // 60 * 60 - 600
        while not closed.wait(0.1):
            opened += 60 * bool(exchange.push("BTC/USDT", "1m", opened, closed=True))

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join()


def command_tree():
    """Return {words of a command: its click command}, groups left out."""
    found = {}
    for name in COMMANDS:
        real = load(name)
        children = reference.children_of(real)
        if children:
            found.update({f"{name} {child}": command for child, command in children.items()})
        else:
            found[name] = real
    return found


REFERENCE = ROOT / "docs" / "commands.md"


@pytest.mark.parametrize("words", sorted(command_tree()))
def test_every_command_is_in_the_reference_with_all_its_options(words):
    text = REFERENCE.read_text(encoding="utf-8")
    heading = f"### `rustybt {words}`"
    assert heading in text, f"docs/commands.md has no section {heading}"
    section = text.split(heading, 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    shared = text.split("## Shared flags", 1)[1].split("\n## ", 1)[0]
    for parameter in command_tree()[words].params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert f"`{option}" in section or f"`{option}" in shared, f"{words} {option} is not documented"


def test_the_reference_is_what_the_commands_say():
    assert REFERENCE.read_text(encoding="utf-8") == reference.reference(), "python tests/docs/reference.py writes it"


def test_the_reference_names_no_command_that_is_not_there():
    headings = re.findall(r"^### `rustybt ([a-z -]+)`", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(headings) == set(command_tree())


@pytest.mark.parametrize("words", sorted(command_tree()))
def test_every_command_shows_an_example_of_itself(words):
    text = command_tree()[words].help
    example = re.search(r"Example: (rustybt .*)", text)
    assert example, f"{words} has no example"
    assert example[1].startswith(f"rustybt {words}")


def test_the_table_of_deprecated_names_is_what_the_code_says():
    page = deprecated_names.TARGET.read_text(encoding="utf-8")
    assert page == deprecated_names.with_table(page), "python tests/docs/deprecated_names.py writes it"


def error_classes(base=rustybt_errors.RustybtError):
    return [base, *(found for child in base.__subclasses__() for found in error_classes(child))]


@pytest.mark.parametrize(
    "kind", sorted({c for c in error_classes() if c.__module__ == "rustybt.errors"}, key=lambda c: c.__name__)
)
def test_every_error_code_is_explained(kind):
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert f"### `{kind.code}`" in text
    section = text.split(f"### `{kind.code}`", 1)[1].split("\n### ", 1)[0]
    assert f"`{kind.__name__}`" in section
    assert f"exit {kind.exit_code}" in section


def test_every_exit_status_is_explained():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    statuses = {kind.exit_code for kind in error_classes()} | {0, 3, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED}
    assert {int(found) for found in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)} == statuses


@pytest.mark.parametrize("key", setting_keys())
def test_every_setting_is_documented(key):
    from rustybt.config import environment_variable

    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"`{key}`" in text
    assert f"`{environment_variable(key)}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
