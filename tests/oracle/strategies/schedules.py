"""Note which rules ran in each session, across half days, months, weeks with holidays, and clock changes."""

from rustybt.api import calendars, date_rules, get_datetime, record, schedule_function, time_rules


def initialize(context):
    context.ran = []
    rules = {
        "week0": date_rules.week_start(),
        "week2": date_rules.week_start(days_offset=2),
        "weekend0": date_rules.week_end(),
        "weekend4": date_rules.week_end(4),
        "month0": date_rules.month_start(),
        "month15": date_rules.month_start(15),
        "monthend0": date_rules.month_end(),
        "monthend3": date_rules.month_end(days_offset=3),
        "every": date_rules.every_day(),
    }
    for name, rule in rules.items():
        schedule_function(note(name), rule, time_rules.market_open(hours=1, minutes=30))
        schedule_function(note(name + "-whole"), rule, time_rules.market_close(minutes=10), half_days=False)
    schedule_function(note("us"), date_rules.month_end(), calendar=calendars.US_EQUITIES)
    schedule_function(note("time only"), time_rule=time_rules.market_close())
    schedule_function(note("plain"))
    # Scheduled last, so it runs when all the others have.
    schedule_function(write)


def note(name):
    def scheduled(context, data):
        context.ran.append(name)

    return scheduled


def before_trading_start(context, data):
    context.ran = ["before " + get_datetime().strftime("%H:%M")]


def handle_data(context, data):
    context.ran.append(get_datetime().strftime("%Y-%m-%d %H:%M"))


def write(context, data):
    record(ran="|".join(context.ran))
