"""Reports of a result: a chart as PNG, and one self-contained HTML page."""

from rustybt.trading.report.chart import write_chart
from rustybt.trading.report.curve import Curve, curve_of
from rustybt.trading.report.page import ReportContext, write_page

__all__ = ["Curve", "ReportContext", "curve_of", "write_chart", "write_page"]
