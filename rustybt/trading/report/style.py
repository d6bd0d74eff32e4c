"""The style sheet of the report page: light and dark, narrow and wide."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #616e7c; --paper: #ffffff; --rule: #dfe4ea; --card: #f5f7fa;
  --one: #1261a0; --two: #8a94a0; --three: #c2571a; --four: #3f7d3a; --loss: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9aa5b1; --paper: #15191e; --rule: #323f4b;
  --card: #1f262d; --one: #62aeef; --two: #7b8794; --three: #f0995f; --four: #83c77d; --loss: #ef7a72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 40px; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 17px; margin: 32px 0 8px; }
.sub, footer, small { color: var(--soft); } .sub { margin: 2px 0 18px; } footer { margin-top: 36px; font-size: 13px; }
.notice { border-left: 4px solid var(--three); background: var(--card); padding: 8px 12px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin-bottom: 18px; }
.card { background: var(--card); border-radius: 8px; padding: 12px 14px; display: flex; flex-direction: column; }
.card span { color: var(--soft); font-size: 13px; } .card b { font-size: 21px; font-variant-numeric: tabular-nums; }
.legend { margin: 0 0 4px; } .key { margin-right: 22px; white-space: nowrap; }
.swatch { display: inline-block; width: 18px; height: 3px; vertical-align: middle; margin-right: 7px; }
.swatch0 { background: var(--one); } .swatch1 { background: var(--two); }
.swatch2 { background: var(--three); } .swatch3 { background: var(--four); }
.chart { width: 100%; height: auto; display: block; }
.chart .grid { stroke: var(--rule); stroke-width: 1; }
.chart text { fill: var(--soft); font-size: 12px; } .chart .label { fill: var(--ink); }
.line { fill: none; stroke-width: 1.2; stroke-linejoin: round; } .line0 { stroke: var(--one); stroke-width: 1.9; }
circle.line { fill: currentColor; } .buy { fill: var(--four); } .sell { fill: var(--loss); }
.buy, .sell { stroke: var(--paper); stroke-width: 0.6; } .up { color: var(--four); } .fall { color: var(--loss); }
.bar { fill: var(--four); opacity: 0.75; } .down { fill: var(--loss); }
h3 { font-size: 15px; font-weight: 600; margin: 16px 0 2px; }
.line1 { stroke: var(--two); } .line2 { stroke: var(--three); } .line3 { stroke: var(--four); }
.loss { fill: var(--loss); opacity: 0.22; } .lossline { fill: none; stroke: var(--loss); stroke-width: 1; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.months { width: 100%; font-size: 13px; } .months th { color: var(--soft); font-weight: 500; padding: 3px 6px; }
.months td { text-align: right; padding: 3px 6px; border: 1px solid var(--paper); } .months .total { font-weight: 700; }
.plain { font-size: 14px; } .plain th { text-align: left; font-weight: 500; color: var(--soft); }
.plain th, .plain td { padding: 4px 18px 4px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
.plain td { overflow-wrap: anywhere; } .pairs th { white-space: nowrap; }
code { background: var(--card); padding: 2px 6px; border-radius: 4px; overflow-wrap: anywhere; }
@media print { main { max-width: none; } h2 { break-after: avoid; } }
"""
