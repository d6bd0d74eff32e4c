"""A pandas frame into a bundle, read back exactly; then one value changes."""

import pandas as pd

import rustybt as rb

frame = pd.DataFrame(
    {
        "symbol": ["SHIB", "SHIB"],
        "date": ["2024-01-01", "2024-01-02"],
        "open": [0.00000712, 0.00000718],
        "high": [0.00000731, 0.00000722],
        "low": [0.00000705, 0.00000699],
        "close": [0.00000718, 0.00000702],
        "volume": [12345678901234, 88],
    }
)

first = rb.ingest_frame(frame, bundle="coins", asset_type="crypto", currency="EUR")
again = rb.ingest_frame(frame, bundle="coins", asset_type="crypto", currency="EUR")
print(first.reference, "rows:", first.rows, "| again:", "unchanged" if again.unchanged else "changed")

with rb.bundle("coins") as coins:
    print(coins.read()["close"].to_list())  # decimals, every digit as it was

frame.loc[1, "close"] = 0.00000703
rb.ingest_frame(frame, bundle="coins", asset_type="crypto", currency="EUR")
with rb.bundle("coins") as coins:
    print(coins.diff("coins@1").changed)
