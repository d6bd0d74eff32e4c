"""Reports of a result: a chart as PNG, and one self-contained HTML page."""

from rustybt.trading.report.chart import write_chart
from rustybt.trading.report.context import ReportContext
from rustybt.trading.report.curve import Curve, curve_of
from rustybt.trading.report.page import write_page
from rustybt.trading.report.tear_sheet import curves_of, write_tear_sheet

__all__ = ["Curve", "ReportContext", "curve_of", "curves_of", "write_chart", "write_page", "write_tear_sheet"]
