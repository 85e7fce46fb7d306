/** A canvas with a frame for a plot: sharp on every screen, with ticks and a title on either axis. */

import { theme } from "./elements.js";

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const MARGIN = { left: 58, right: 12, top: 10, bottom: 36 };

/** Clear a canvas and give what to draw with: the context, and the plot's left, top, width and height in CSS pixels. */
export function openPlot(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = FONT;
  return {
    context,
    left: MARGIN.left,
    top: MARGIN.top,
    width: Math.max(1, width - MARGIN.left - MARGIN.right),
    height: Math.max(1, height - MARGIN.top - MARGIN.bottom),
  };
}

/** Ticks below the plot, for values from `first` to `last`. */
export function drawTimeAxis(plot, first, last) {
  const { context, left, top, width, height } = plot;
  const step = niceStep((last - first) / Math.max(2, width / 80));
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  context.fillStyle = theme("muted");
  context.strokeStyle = theme("line");
  context.textAlign = "center";
  context.textBaseline = "top";
  for (let tick = Math.ceil(first / step - 1e-9) * step; tick <= last + 1e-9; tick += step) {
    const x = left + ((tick - first) / (last - first)) * width;
    line(context, x, top + height, x, top + height + 4);
    context.fillText(tick.toFixed(digits), x, top + height + 6);
  }
  context.fillText("time (s)", left + width / 2, top + height + 21);
}

/** Ticks left of the plot. `ticks` are [label, share of the height from the bottom]; too near ones are left out. */
export function drawValueAxis(plot, ticks, title) {
  const { context, left, top, height } = plot;
  context.fillStyle = theme("muted");
  context.strokeStyle = theme("line");
  context.textAlign = "right";
  context.textBaseline = "middle";
  let last = Infinity;
  for (const [label, share] of ticks) {
    const y = top + height * (1 - share);
    if (last - y < 14) continue;
    last = y;
    line(context, left - 4, y, left, y);
    context.fillText(label, left - 7, y);
  }
  context.save();
  context.translate(10, top + height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(title, 0, 0);
  context.restore();
}

/** The plot's border. */
export function drawFrame({ context, left, top, width, height }) {
  context.strokeStyle = theme("line");
  context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
}

/** The step of 1, 2 or 5 times a power of ten that is not below `least`. */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) * power;
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
