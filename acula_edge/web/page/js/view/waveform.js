/** The waveform of a recording, with the window whose spectrogram is shown. */

import { general, peakOf } from "../numbers.js";
import { drawFrame, drawTimeAxis, drawValueAxis, openPlot } from "./axes.js";
import { theme } from "./elements.js";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{wave: Float32Array, rateHz: number, startS: number, durationS?: number}} sound
 * @param {{startS: number, stopS: number}|null} chosen the window to mark
 * @returns {(x: number) => number} the time at a distance from the canvas's left edge
 */
export function drawWaveform(canvas, { wave, rateHz, startS, durationS = wave.length / rateHz }, chosen) {
  const plot = openPlot(canvas);
  const { context, left, top, width, height } = plot;
  const stopS = startS + durationS;
  const x = (time) => left + Math.min(1, Math.max(0, (time - startS) / durationS)) * width;
  const peak = peakOf(wave);
  const scale = peak > 0 && Number.isFinite(peak) ? peak : 1;
  if (chosen) {
    context.fillStyle = theme("shade");
    context.fillRect(x(chosen.startS), top, x(chosen.stopS) - x(chosen.startS), height);
  }
  const middle = top + height / 2;
  context.fillStyle = theme("wave");
  const columns = Math.ceil(width);
  const perColumn = (durationS * rateHz) / columns;
  for (let column = 0; column < columns; column++) {
    const first = Math.floor(column * perColumn);
    const last = Math.min(wave.length, Math.max(first + 1, Math.ceil((column + 1) * perColumn)));
    if (first >= wave.length) break;
    let [low, high] = [Infinity, -Infinity];
    for (let i = first; i < last; i++) {
      if (wave[i] < low) low = wave[i];
      if (wave[i] > high) high = wave[i];
    }
    const upper = middle - (high / scale) * (height / 2 - 2);
    const lower = middle - (low / scale) * (height / 2 - 2);
    context.fillRect(left + column, upper, 1, Math.max(1, lower - upper));
  }
  drawFrame(plot);
  drawTimeAxis(plot, startS, stopS);
  const label = scale < 0.001 ? scale.toExponential(0) : general(scale, 2);
  const title = label.length > 4 ? "" : "of full scale"; // no room for both
  drawValueAxis(plot, [[`−${label}`, 2 / height], ["0", 0.5], [label, 1 - 2 / height]], title);
  return (place) => startS + ((place - left) / width) * durationS;
}
