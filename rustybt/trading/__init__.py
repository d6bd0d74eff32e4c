"""Trade on served bars: clock, orders, fills, an exact book, metrics and results."""
