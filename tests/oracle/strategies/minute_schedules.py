"""Note the minute in which each scheduled function runs."""

from datetime import timedelta

from rustybt.api import date_rules, get_datetime, record, schedule_function, time_rules


def initialize(context):
    context.ran = []
    context.bars = 0
    times = {
        "open": time_rules.market_open(),
        "open1": time_rules.market_open(minutes=1),
        "open30": time_rules.market_open(minutes=30),
        "open2h15": time_rules.market_open(hours=2, minutes=15),
        "open5h": time_rules.market_open(hours=5),  # after the close of a half day
        "open210": time_rules.market_open(minutes=210),
        "opendelta": time_rules.market_open(offset=timedelta(minutes=45)),
        "close": time_rules.market_close(),
        "close1": time_rules.market_close(minutes=1),
        "close30": time_rules.market_close(minutes=30),
        "close3h": time_rules.market_close(hours=3),
        "close4h": time_rules.market_close(hours=4),  # before the open of a half day
        "every": time_rules.every_minute(),
    }
    for name, rule in times.items():
        schedule_function(note(name), date_rules.every_day(), rule)
    schedule_function(note("whole days"), date_rules.every_day(), time_rules.market_close(minutes=2), half_days=False)
    schedule_function(note("month"), date_rules.month_start(), time_rules.market_open(minutes=3))
    schedule_function(note("month1"), date_rules.month_start(1), time_rules.market_open(minutes=4))
    schedule_function(note("monthend"), date_rules.month_end(), time_rules.market_close(minutes=5))
    schedule_function(note("week"), date_rules.week_start(), time_rules.market_open(minutes=6))
    schedule_function(note("weekend"), date_rules.week_end(), time_rules.market_close(minutes=7))
    schedule_function(note("weekend whole"), date_rules.week_end(), time_rules.market_close(minutes=8), half_days=False)
    schedule_function(note("no rules"))
    schedule_function(note("time only"), time_rule=time_rules.market_close(hours=1, minutes=1))


def note(name):
    def scheduled(context, data):
        context.ran.append(name + get_datetime().strftime(" %H:%M"))
        record(ran="|".join(context.ran))

    return scheduled


def before_trading_start(context, data):
    context.ran = ["before" + get_datetime().strftime(" %H:%M")]
    context.bars = 0


def handle_data(context, data):
    context.bars += 1
    record(bars=context.bars)
