"""What the script `average_cross` asks of pandas alone, without any engine: `python -m tests.bench.engine.own_pandas ASSETS BARS`."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd

FAST, SLOW = 20, 50


def main(assets: int, bars: int) -> dict[str, float]:
    """Return the seconds of both averages and of one comparison an asset, in each bar."""
    from rustybt.market.assets import Asset

    universe = [Asset(number, f"SYM{number:04d}") for number in range(assets)]
    values = np.random.default_rng(5).uniform(20, 80, (bars, assets))
    windows = [pd.DataFrame(values[end - SLOW : end], columns=pd.Index(universe)) for end in range(SLOW, bars + 1)]
    above = 0
    begin = time.perf_counter()
    for prices in windows:
        fast = prices.tail(FAST).mean()
        slow = prices.mean()
        for asset in universe:
            if fast[asset] > slow[asset]:
                above += 1
    return {"seconds": time.perf_counter() - begin, "above": above}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
