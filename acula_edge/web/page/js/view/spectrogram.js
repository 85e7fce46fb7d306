/** The spectrogram that the model reads: the values that the bundle's front end put out, over seconds and Hz. */

import { drawFrame, drawTimeAxis, drawValueAxis, openPlot } from "./axes.js";

const TICKS_HZ = [25, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000];
// Dark to light through even steps of lightness, readable without color vision.
const RAMP = [[4, 5, 20], [42, 17, 84], [101, 26, 109], [158, 47, 100], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{mel: Float32Array, startS: number, durationS: number}} window values [frames * bands], lowest band first
 * @param {{frames: number, bands: number}} shape
 * @param {object} frontend bundle.json's entry
 */
export function drawSpectrogram(canvas, { mel, startS, durationS }, { frames, bands }, frontend) {
  const plot = openPlot(canvas);
  const { context, left, top, width, height } = plot;
  const frameS = frontend.hop_length / frontend.sample_rate_hz;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.imageSmoothingEnabled = false;
  // A frame is centered on its time, so half of the first lies before the window.
  const frameWidth = (frameS / durationS) * width;
  context.drawImage(paint(mel, frames, bands), left - frameWidth / 2, top, frameWidth * frames, height);
  context.restore();
  drawFrame(plot);
  drawTimeAxis(plot, startS, startS + durationS);
  const place = bandPlace(frontend, bands);
  const ticks = TICKS_HZ.map((hz) => [String(hz), place(hz)]).filter(([, share]) => share > -0.01 && share < 1.01);
  drawValueAxis(plot, ticks, "frequency (Hz)");
}

/** Paint the ramp of colors on a small canvas. */
export function drawRamp(canvas) {
  [canvas.width, canvas.height] = [256, 1];
  const values = Float32Array.from({ length: 256 }, (_, i) => i / 255);
  canvas.getContext("2d").putImageData(colors(values, 256, 1), 0, 0);
}

/** Where a frequency lies between the bands' lower edge (0) and upper edge (1). */
export function bandPlace({ kind, mel_scale: scale, fmin_hz: low, fmax_hz: high }, bands) {
  const toMel = kind === "kaldi-fbank" || scale === "htk" ? htkMel : slaneyMel;
  const [lowest, highest] = [toMel(low), toMel(high)];
  // Band m is centered on corner m + 1 of bands + 2.
  return (hz) => (((toMel(hz) - lowest) / (highest - lowest)) * (bands + 1) - 0.5) / bands;
}

function slaneyMel(hz) {
  return hz < 1000 ? (3 * hz) / 200 : 15 + (27 * Math.log(hz / 1000)) / Math.log(6.4);
}

function htkMel(hz) {
  return (2595 / Math.LN10) * Math.log1p(hz / 700);
}

function paint(mel, frames, bands) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of mel) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const flipped = new Float32Array(mel.length);
  for (let frame = 0; frame < frames; frame++) {
    for (let band = 0; band < bands; band++) {
      const value = mel[frame * bands + band];
      flipped[(bands - 1 - band) * frames + frame] = high > low ? (value - low) / (high - low) : 0;
    }
  }
  const image = document.createElement("canvas");
  [image.width, image.height] = [frames, bands];
  image.getContext("2d").putImageData(colors(flipped, frames, bands), 0, 0);
  return image;
}

function colors(values, width, height) {
  const pixels = new ImageData(width, height);
  values.forEach((value, i) => {
    const place = Math.min(Math.max(value, 0), 1) * (RAMP.length - 1);
    const step = Math.min(Math.floor(place), RAMP.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [RAMP[step][channel], RAMP[step + 1][channel]];
      pixels.data[4 * i + channel] = from + (place - step) * (to - from);
    }
    pixels.data[4 * i + 3] = 255;
  });
  return pixels;
}
