"""``rustybt bundle export --to zipline``: what is printed, as text and as JSON."""

from pathlib import Path


def test_export_to_zipline_prints_what_it_wrote_what_was_lost_and_the_next_step(us, rustybt):
    status, out, err = rustybt("bundle", "export", us, "--to", "zipline", "--output", "root")
    assert status == 0
    names = ["daily_equities.bcolz", "minute_equities.bcolz", "adjustments.sqlite", "assets-7.sqlite", "extension.py"]
    assert [Path(line).name for line in out.splitlines()] == names
    assert all(Path(line).exists() for line in out.splitlines())
    assert err == (
        "2 daily bars of AAPL, MSFT have more decimals than Zipline keeps and were rounded, e.g. AAPL at 2024-01-04: "
        "183.0872 became 183.087\n"
        "next: ZIPLINE_ROOT=root zipline run -b us -f STRATEGY.py -s 2024-01-02 -e 2024-01-05 --no-benchmark\n"
    )
    status, _, err = rustybt("bundle", "export", us, "--to", "zipline", "--output", "root")
    assert status == 2
    assert "exists already" in err


def test_export_to_zipline_as_json_holds_notes_and_counts(us, ask):
    said = ask("bundle", "export", us, "--to", "zipline", "--output", "root")
    assert (said["bundle"], said["format"], said["name"]) == ("us", "zipline", "us")
    assert (said["rounded_prices"], said["rounded_volumes"], said["left_out_bars"], len(said["notes"])) == (2, 0, 0, 1)
    assert len(said["written"]) == 5
    assert said["next_step"].startswith("ZIPLINE_ROOT=root zipline run -b us ")
