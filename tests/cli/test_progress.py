"""Progress where there is no terminal, and where there is one."""

import io

from rustybt.cli.progress import Progress, describe


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


def test_a_pipe_gets_a_plain_line_every_few_seconds_and_no_more():
    clock, stream = Clock(), io.StringIO()
    with Progress(stream, clock=clock) as progress:
        for done in range(1, 13):
            clock.now += 1
            progress("AAPL", done, 100)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "AAPL: 5 of 100 (5%), 1/s, about 95 s left",
        "AAPL: 10 of 100 (10%), 1/s, about 90 s left",
    ]


def test_a_line_says_how_far_how_fast_and_how_long():
    assert describe("writing", 500, 2000, 10.0) == "writing: 500 of 2,000 (25%), 50/s, about 30 s left"


def test_an_unknown_total_is_not_invented():
    assert describe("reading", 1_500, 0, 100.0) == "reading: 1,500, 15/s"


def test_finished_work_has_no_time_left():
    assert describe("reading", 10, 10, 5.0) == "reading: 10 of 10 (100%), 2/s"


def test_the_place_reached_changes_and_the_work_stays_the_same():
    clock, stream = Clock(), io.StringIO()
    with Progress(stream, clock=clock) as progress:
        for day in range(1, 7):
            clock.now += 1
            progress(f"backtest 2004-02-{day:02d}", day, 12)
    assert stream.getvalue() == "backtest 2004-02-05: 5 of 12 (42%), 1/s, about 7 s left\n"
    screen = FakeTerminal()
    with Progress(screen) as progress:
        progress("backtest 2004-02-12", 1, 2)
        progress("backtest 2004-02-13", 2, 2)
    assert len(progress._tasks) == 1


def test_work_that_has_just_begun_claims_no_rate():
    assert describe("reading", 0, 10, 0.0) == "reading: 0 of 10 (0%)"


def test_hidden_progress_writes_nothing():
    clock, stream = Clock(), io.StringIO()
    with Progress(stream, enabled=False, clock=clock) as progress:
        clock.now += 60
        progress("AAPL", 1, 2)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_with_the_count():
    stream = FakeTerminal()
    with Progress(stream) as progress:
        progress("[AAPL]", 0, 4)
        progress("[AAPL]", 4, 4)
        progress("unknown total", 3, 0)
    assert "[AAPL]" in stream.getvalue()
    assert "4/4" in stream.getvalue()


def test_what_an_earlier_run_did_is_nobodys_speed():
    clock, stream = Clock(), io.StringIO()
    with Progress(stream, clock=clock) as progress:
        progress("fetch A", 80, 100)
        clock.now += 10
        progress("fetch K", 90, 100)
    assert stream.getvalue() == "fetch K: 90 of 100 (90%), 1/s, about 10 s left\n"


def test_a_wait_that_counts_down_is_told_again_after_half_a_minute_and_a_new_one_at_once():
    clock, stream = Clock(), io.StringIO()
    with Progress(stream, clock=clock) as progress:
        for left in (59, 54, 49, 44, 39, 34, 29, 24):
            progress(f"fetch waiting {left} s: polygon, 5/min", 1, 9)
            clock.now += 5
        progress("fetch waiting 59 s: polygon, 5/min", 2, 9)
    assert stream.getvalue().splitlines() == [
        "waiting 59 s: polygon, 5/min (fetch 1 of 9)",
        "waiting 29 s: polygon, 5/min (fetch 1 of 9)",
        "waiting 59 s: polygon, 5/min (fetch 2 of 9)",
    ]


def test_a_wait_is_told_at_once_and_once():
    clock, stream = Clock(), io.StringIO()
    with Progress(stream, clock=clock) as progress:
        progress("fetch waiting 37 s: polygon, 5/min", 143, 200)
        progress("fetch waiting 37 s: polygon, 5/min", 143, 200)
        progress("fetch waiting: another process runs the same ingest", 0, 0)
    assert stream.getvalue().splitlines() == [
        "waiting 37 s: polygon, 5/min (fetch 143 of 200)",
        "waiting: another process runs the same ingest",
    ]
