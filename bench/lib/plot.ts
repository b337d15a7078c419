/**
 * A grid as a picture: a panel for each figure, in it a bar for each contender, all from zero.
 *
 * @module
 */

import { medianOf, type Result } from "./result.ts";
import { type Grid, labelOf, shown } from "./table.ts";

/** Measures of the picture, in pixels. */
const WIDTH = 720;
const LABELS = 220;
const VALUES = 70;
const LINE = 18;
const BAR = 12;
const HEAD = 30;
const PANEL = 26;

/** Colours by the side that a contender is on. */
const COLOURS = { ours: "#1f6feb", peer: "#8b949e", ceiling: "#d0d7de" } as const;

/** An SVG of a grid. */
export function plotOf(result: Result, grid: Grid): string {
  const { title, figures } = grid;
  const panels: string[] = [];
  let top = HEAD;
  for (const figure of figures) {
    const { svg, height } = panelOf(result, grid, figure, top);
    panels.push(svg);
    top += height;
  }
  const [plain = ""] = title.split(" (in brackets");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" viewBox="0 0 ${WIDTH} ${top}" role="img" ` +
    `font-family="system-ui, sans-serif" font-size="12" fill="#1f2328">`,
    `<title>${escaped(plain)}</title>`,
    `<rect width="${WIDTH}" height="${top}" fill="#ffffff"/>`,
    text(8, 18, plain, ' font-weight="bold"'),
    ...panels,
    "</svg>",
    "",
  ].join("\n");
}

function panelOf(
  result: Result,
  { workload, rows }: Grid,
  figure: string,
  top: number,
): { readonly svg: string; readonly height: number } {
  const bars = rows.map((task) => {
    const { contender, durability } = task;
    return {
      label: labelOf(task),
      contender,
      value: medianOf(result, { workload, contender, durability, figure }),
    };
  }).filter(({ value }) => !Number.isNaN(value));
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const lines = bars.map(({ label, contender, value }, index) => {
    const y = top + PANEL + index * LINE;
    const width = Math.max(1, value / most * (WIDTH - LABELS - VALUES));
    return [
      text(LABELS - 8, y + BAR - 2, label, ' text-anchor="end"'),
      `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${
        colourOf(contender)
      }"/>`,
      text(LABELS + width + 5, y + BAR - 2, shown(value)),
    ].join("");
  });
  const head = text(LABELS, top + PANEL - 8, figure, ' fill="#57606a"');
  return { svg: [head, ...lines].join("\n"), height: PANEL + bars.length * LINE };
}

function colourOf(contender: string): string {
  if (contender.startsWith("relevo")) return COLOURS.ours;
  return contender.startsWith("ceiling") ? COLOURS.ceiling : COLOURS.peer;
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y}"${more}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
