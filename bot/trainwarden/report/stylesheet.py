"""Nothing comes in; the style sheet of the HTML report goes out. No address in it leads anywhere."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2128; --faint: #5c6672; --line: #d9dee4; --code: #f6f8fa;
  --pass: #1a7f4b; --review: #9a6700; --block: #c0262d; --error: #7d3fb0;
  --before: #fdeceb; --before-edge: #c0262d; --after: #fff4d6; --after-edge: #b7791f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101418; --card: #181d23; --ink: #e3e8ee; --faint: #97a3b0; --line: #2c343d; --code: #11161b;
    --pass: #4cc38a; --review: #e3b341; --block: #ff7b72; --error: #c297ff;
    --before: #3a1d1f; --before-edge: #ff7b72; --after: #362b12; --after-edge: #e3b341;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 2rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 76rem; margin: 0 auto; }
header, section, footer { margin-bottom: 1.75rem; }
h1 { font-size: 1.35rem; margin: 0; line-height: 1.3; }
h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
ul { margin: .5rem 0; padding-left: 1.25rem; }
li { margin: .2rem 0; overflow-wrap: anywhere; }
code, .lines { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code, .text { direction: ltr; unicode-bidi: isolate-override; }
code { font-size: .875em; overflow-wrap: anywhere; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem;
}
.verdict { border-left: .4rem solid var(--tone); }
.verdict .word { color: var(--tone); text-transform: uppercase; letter-spacing: .04em; }
.pass { --tone: var(--pass); } .review { --tone: var(--review); }
.block { --tone: var(--block); } .error { --tone: var(--error); }
.risk { display: flex; gap: .6rem; align-items: center; color: var(--faint); margin-top: .5rem; }
meter { width: 10rem; max-width: 40%; height: .9rem; }
meter::-webkit-meter-optimum-value { background: var(--tone); }
meter::-moz-meter-bar { background: var(--tone); }
.faint { color: var(--faint); font-size: .9rem; }
.scroll { overflow-x: auto; padding: 0; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; }
th, td {
  text-align: left; vertical-align: top; padding: .45rem .9rem; border-bottom: 1px solid var(--line);
}
tr:last-child td { border-bottom: 0; }
th { color: var(--faint); font-weight: 600; }
td { overflow-wrap: anywhere; }
td:first-child { overflow-wrap: break-word; }
.absent { color: var(--faint); font-style: italic; }
article { margin-bottom: 1rem; }
.top {
  display: flex; flex-wrap: wrap; gap: .35rem .75rem; align-items: baseline; justify-content: space-between;
}
.share { font-weight: 600; white-space: nowrap; }
.tag {
  display: inline-block; padding: 0 .5rem; border: 1px solid var(--line); border-radius: 1rem;
  color: var(--faint); font-size: .8rem; line-height: 1.5rem; white-space: nowrap;
}
.critical, .high { color: var(--block); border-color: var(--block); }
.medium { color: var(--review); border-color: var(--review); }
.views { display: grid; grid-template-columns: minmax(0, 1fr); gap: .75rem; margin-top: .75rem; }
figure {
  margin: 0; border: 1px solid var(--line); border-radius: .4rem; background: var(--code); overflow: hidden;
}
figcaption {
  background: var(--card); padding: .25rem .75rem; color: var(--faint); font-size: .85rem;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere;
}
.lines { background: var(--code); font-size: .82rem; line-height: 1.55; overflow-x: auto; padding: .35rem 0; }
.row { display: grid; grid-template-columns: 3.75rem minmax(0, 1fr); border-left: .2rem solid #0000; }
.number { color: var(--faint); text-align: right; padding-right: .75rem; user-select: none; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; padding-right: .75rem; }
.base .marked { background: var(--before); border-left-color: var(--before-edge); }
.head .marked { background: var(--after); border-left-color: var(--after-edge); }
.caption {
  grid-column: 2; font-family: system-ui, sans-serif; color: var(--faint); padding: 0 .75rem .2rem 0;
  overflow-wrap: anywhere;
}
.evidence { margin: .75rem 0 0; font-size: .875rem; }
.evidence summary { cursor: pointer; color: var(--faint); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: .5rem 0 0; }
dt { color: var(--faint); max-width: 14rem; overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (min-width: 60rem) { .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 30rem) {
  body { padding: 1rem .6rem 3rem; }
  .card { padding: .8rem .9rem; }
  .scroll { padding: 0; }
  .row { grid-template-columns: 2.75rem minmax(0, 1fr); }
  .number { padding-right: .5rem; }
  thead { display: none; }
  tbody tr { display: block; padding: .5rem .9rem; border-bottom: 1px solid var(--line); }
  tbody tr:last-child { border-bottom: 0; }
  td { display: block; border: 0; padding: .05rem 0; }
  td[data-name]::before { content: attr(data-name) " "; color: var(--faint); }
}
@media print { body { background: none; } .card { break-inside: avoid; } }
"""
