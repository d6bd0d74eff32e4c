"""Yahoo Finance, on yfinance."""
