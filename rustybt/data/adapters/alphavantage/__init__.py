"""Alpha Vantage, on plain HTTP."""
