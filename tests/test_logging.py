"""The library is silent until someone listens."""

import io
import json
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from rustybt import logging as rustybt_logging


@pytest.fixture
def stream():
    root = logging.getLogger(rustybt_logging.ROOT)
    before = (list(root.handlers), root.level, root.propagate)
    yield io.StringIO()
    root.handlers[:], root.propagate = before[0], before[2]
    root.setLevel(before[1])


def test_a_library_user_sees_nothing_by_default():
    program = "from rustybt.logging import get_logger; get_logger('x').error('cache_miss', symbol='AAPL')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_text_lines_carry_the_fields(stream):
    rustybt_logging.configure("INFO", "text", stream)
    rustybt_logging.get_logger("rustybt.data", feed="iex").info("cache_miss", symbol="AAPL", name="us")
    line = stream.getvalue().strip()
    assert line.endswith("info cache_miss feed=iex symbol=AAPL name=us")


def test_json_lines_are_objects(stream):
    rustybt_logging.configure("DEBUG", "json", stream)
    rustybt_logging.get_logger("sources").debug("page %d", page=3)
    body = json.loads(stream.getvalue())
    assert body["event"] == "page %d"
    assert (body["level"], body["logger"], body["page"]) == ("debug", "rustybt.sources", 3)
    assert body["timestamp"].endswith("+00:00")


def test_events_below_the_level_are_dropped(stream):
    rustybt_logging.configure("WARNING", "text", stream)
    rustybt_logging.get_logger().info("quiet")
    assert stream.getvalue() == ""


def test_a_second_configuration_replaces_the_first(stream):
    rustybt_logging.configure("INFO", "text", io.StringIO())
    rustybt_logging.configure("INFO", "text", stream)
    rustybt_logging.get_logger().warning("once")
    assert stream.getvalue().count("once") == 1


def test_an_exception_is_a_field_not_a_traceback(stream):
    rustybt_logging.configure("INFO", "json", stream)
    try:
        raise ValueError("boom")
    except ValueError:
        rustybt_logging.get_logger().exception("failed")
    assert "ValueError: boom" in json.loads(stream.getvalue())["exception"]


def test_threads_that_silence_warnings_do_not_undo_each_other():
    """The second one waits: else it would put back what the first one set."""
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()
    met = []

    def first():
        with rustybt_logging.without_warnings(FutureWarning):
            inside.set()
            leave.wait(10)

    def second():
        inside.wait(10)
        with rustybt_logging.without_warnings(UserWarning):
            met.append([entry[2] for entry in warnings.filters[:2]])

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    threads[1].join(0.2)
    assert met == []
    leave.set()
    for thread in threads:
        thread.join(10)
    assert met[0][0] is UserWarning
    assert FutureWarning not in met[0]
    assert list(warnings.filters) == before
