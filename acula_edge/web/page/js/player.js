/** Plays a piece of a recording. */

import { resample } from "./resample.js";

// Browsers play buffers at 8 to 96 kHz everywhere; stethoscopes record lower.
const LOWEST_HZ = 8000;

let playing = null;

/** Play from `startS` to `stopS`; what was playing stops. `onEnd` is called when it ends or is stopped. */
export function play({ wave, rateHz }, startS, stopS, onEnd) {
  stopPlaying();
  const factor = Math.ceil(LOWEST_HZ / rateHz);
  const piece = resample(wave.slice(Math.floor(startS * rateHz), Math.ceil(stopS * rateHz)), rateHz, rateHz * factor);
  const context = new AudioContext();
  const buffer = context.createBuffer(1, Math.max(1, piece.length), rateHz * factor);
  buffer.copyToChannel(piece, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  playing = { source };
  source.onended = () => {
    if (playing?.source === source) playing = null;
    context.close();
    onEnd();
  };
  source.start();
}

/** Stop what is playing. */
export function stopPlaying() {
  playing?.source.stop();
  playing = null;
}

/** Whether something is playing. */
export function isPlaying() {
  return playing !== null;
}
