"""The report's style sheet: one for light, dark, narrow and paper. No colour says anything that words don't."""

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ground: #f5f6f8; --ink: #1a1d21; --soft: #5b6470; --line: #dfe3e8; --grid: #eceff2;
  --canary: #c2570c; --stable: #1f63b5; --canary-soft: #c2570c26; --stable-soft: #1f63b522;
  --good: #1b7f4d; --bad: #b3261e; --warn: #8a5a00; --bad-soft: #b3261e12;
  --s0: #b3261e; --s1: #6d3fc0; --s2: #00796b; --s3: #8a5a00; --s4: #ad1570; --s5: #4a5560;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171a1f; --ground: #0f1216; --ink: #e8eaed; --soft: #a3adb8; --line: #2c323a; --grid: #23282f;
    --canary: #ff9a4d; --stable: #6db1ff; --canary-soft: #ff9a4d33; --stable-soft: #6db1ff2e;
    --good: #5bd197; --bad: #ff7b72; --warn: #f0b849; --bad-soft: #ff7b7218;
    --s0: #ff7b72; --s1: #b79cff; --s2: #4fd1c0; --s3: #f0b849; --s4: #ff8ac9; --s5: #a3adb8;
  }
}
* { box-sizing: border-box; } a { color: var(--stable); }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 980px; margin: 0 auto; padding: 28px 20px 60px; }
header p.of { margin: 0; color: var(--soft); font-size: 14px; overflow-wrap: anywhere; }
h1 { font-size: 27px; line-height: 1.25; margin: 8px 0 10px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 34px 0 10px; font-weight: 650; }
h3 { font-size: 15px; margin: 0 0 6px; font-weight: 600; }
p.reason { font-size: 16px; margin: 0 0 4px; max-width: 78ch; overflow-wrap: anywhere; }
.badge {
  display: inline-block; padding: 2px 12px 3px; border-radius: 999px; font-weight: 600; font-size: 14px;
  border: 1.5px solid currentColor; margin-top: 10px;
}
.badge.roll_back { color: var(--bad); } .badge.advance, .badge.continue { color: var(--good); }
.badge.hold { color: var(--warn); }
section.card, figure { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
section.card { padding: 16px 20px; }
section.story { margin: 0 0 14px; }
figure { margin: 0 0 16px; padding: 16px 20px 12px; }
figcaption { color: var(--soft); font-size: 13.5px; margin-top: 6px; max-width: 90ch; }
.facts { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1px; margin: 18px 0 0;
  background: var(--line); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.facts div { background: var(--paper); padding: 12px 16px; }
.facts dt { color: var(--soft); font-size: 13px; } .facts dd { margin: 0; font-size: 20px; font-weight: 600; }
.facts small { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); line-height: 1.4; }
.why h3 { margin-top: 14px; } .why h3:first-child { margin-top: 0; }
.why ul { margin: 0; padding-left: 20px; max-width: 86ch; } .why li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
caption { text-align: left; color: var(--soft); padding: 10px 14px 4px; }
th, td { text-align: left; vertical-align: top; padding: 7px 14px; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; min-width: 110px; } td { min-width: 76px; overflow-wrap: break-word; }
.n { white-space: nowrap; font-variant-numeric: tabular-nums; }
details { margin-top: 8px; font-size: 13.5px; } summary { cursor: pointer; color: var(--soft); }
details .wide { margin-top: 8px; max-height: 420px; overflow-y: auto; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 4px; padding: 0;
  font-size: 13px; color: var(--soft); }
.legend svg { vertical-align: -1px; margin-right: 6px; }
footer { margin-top: 36px; color: var(--soft); font-size: 13px; }
code { font: 12.5px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 0 16px; }
svg { display: block; max-width: 100%; height: auto; } .legend svg { display: inline-block; }
.on-narrow { display: none; } .on-narrow svg { width: 100%; }

svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--ink); }
svg .tick-label, svg .axis-title { fill: var(--soft); font-size: 11.5px; }
svg .limit-label, svg .decision-label { fill: var(--bad); font-weight: 600; } svg .equal-label { fill: var(--soft); }
svg .limit-label, svg .equal-label, svg .decision-label {
  paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round;
}
svg .strip-label { font-size: 11px; font-weight: 600; fill: var(--paper); }
.axis, .tick { stroke: var(--soft); stroke-width: 1; } .grid { stroke: var(--grid); stroke-width: 1; }
.limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 6 4; }
.equal { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.beyond { fill: var(--bad-soft); } .decision { stroke: var(--bad); stroke-width: 1; }
.series { fill: none; stroke-width: 1.5; } .sum { fill: none; stroke: var(--ink); stroke-width: 2.5; }
.s0 { stroke: var(--s0); stroke-dasharray: 7 3; } .s1 { stroke: var(--s1); stroke-dasharray: 2 2.5; }
.s2 { stroke: var(--s2); stroke-dasharray: 9 3 2 3; } .s3 { stroke: var(--s3); stroke-dasharray: 4 2; }
.s4 { stroke: var(--s4); stroke-dasharray: 1 3; } .s5 { stroke: var(--s5); stroke-dasharray: 12 3; }
.band { fill: var(--canary-soft); } .band-edge { fill: none; stroke: var(--canary); stroke-width: 1; opacity: .55; }
.effect { fill: none; stroke: var(--canary); stroke-width: 2.2; } .last { fill: var(--canary); }
.share { fill: var(--canary-soft); } .share-line { fill: none; stroke: var(--canary); stroke-width: 2; }
.verdict { stroke: var(--paper); stroke-width: .5; } .v-continue, .v-advance { fill: var(--good); }
.v-advance { fill-opacity: .75; } .v-hold { fill: var(--warn); } .v-roll_back { fill: var(--bad); }
.shape.canary { fill: var(--canary-soft); } .shape.stable { fill: var(--stable-soft); }
.outline { fill: none; stroke-width: 2; } .outline.canary, .median.canary { stroke: var(--canary); }
.outline.stable, .median.stable { stroke: var(--stable); } .outline.stable { stroke-dasharray: 5 3; }
.median { stroke-width: 1.5; stroke-dasharray: 2 3; }
.pod { stroke: var(--paper); stroke-width: 1; }
.pod.canary { fill: var(--canary); } .pod.stable { fill: var(--stable); }

@media (max-width: 700px) {
  main { padding: 16px 10px 40px; } h1 { font-size: 22px; } section.card, figure { padding: 12px 12px 10px; }
  .on-wide { display: none; } .on-narrow { display: block; } .two { grid-template-columns: 1fr; }
  .facts { grid-template-columns: 1fr 1fr; } .facts div { padding: 10px 12px; } .facts dd { font-size: 17px; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ground: #fff; --ink: #000; --soft: #444; --line: #bbb; --grid: #e4e4e4;
    --canary: #b34700; --stable: #0b4a99; --canary-soft: #b3470026; --stable-soft: #0b4a9922;
    --good: #0b6b3a; --bad: #a01510; --warn: #6b4600; --bad-soft: #a0151012;
  }
  body { font-size: 11pt; } main { max-width: none; padding: 0; } figure, section.card, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; } .wide { overflow: visible; } .on-wide { display: block; } .on-narrow { display: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
