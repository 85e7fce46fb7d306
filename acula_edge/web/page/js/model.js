/** The bundle's network in two halves: a front end for the rate at hand, and the encoder with its heads. */

import { roundHalfEven } from "./numbers.js";

export const ENCODER_FILES = { int8: "encoder.int8.onnx", float: "encoder.onnx" };
const FRONTEND_FILE = "frontend.onnx";

/** Precisions for which this site has an encoder, the bundle's recommended one first. */
export function precisions(site) {
  const made = Object.keys(ENCODER_FILES).filter((name) => site.has(`bundle/${ENCODER_FILES[name]}`));
  return made.sort((a, b) => Number(b === site.bundle.recommended) - Number(a === site.bundle.recommended));
}

/** Open the encoder of one precision and every front end for it. */
export async function openModel(site, engine, precision) {
  const { bundle } = site;
  const encode = await engine.open(`bundle/${ENCODER_FILES[precision]}`, [1, bundle.mel.frames, bundle.mel.bands]);
  const own = { file: FRONTEND_FILE, sample_rate_hz: bundle.input.sample_rate_hz, samples: bundle.input.samples };
  const natives = (bundle.frontends ?? []).filter((entry) => entry.kind === "native" && site.has(`bundle/${entry.file}`));
  const listeners = new Map();
  for (const entry of [...natives, own]) {
    const hear = await engine.open(`bundle/${entry.file}`, [1, entry.samples]);
    listeners.set(entry.sample_rate_hz, new Listener(entry, bundle, hear, encode));
  }
  return new Model(bundle, precision, listeners);
}

/** A loaded network. */
export class Model {
  constructor(bundle, precision, listeners) {
    this.bundle = bundle;
    this.precision = precision;
    this.listeners = listeners;
    this.own = listeners.get(bundle.input.sample_rate_hz);
  }

  /** What listens at `rateHz`: a front end for that very rate, else the bundle's own, to which sound is resampled. */
  listener(rateHz) {
    return this.listeners.get(rateHz) ?? this.own;
  }
}

/** A front end at one rate, and the encoder behind it. */
class Listener {
  constructor(entry, bundle, hear, encode) {
    this.file = entry.file;
    this.rateHz = entry.sample_rate_hz;
    this.windowSamples = entry.samples;
    this.hopSamples = roundHalfEven(bundle.input.hop_s * this.rateHz);
    this.frames = bundle.mel.frames;
    this.bands = bundle.mel.bands;
    this.hear = hear;
    this.encode = encode;
  }

  /** One window. Shape: [windowSamples] -> mel [frames * bands], embedding [D], scores [K], and the time of each half. */
  async run(wave) {
    const started = performance.now();
    const { mel } = await this.hear(wave);
    const heard = performance.now();
    const { embedding, scores } = await this.encode(mel);
    return { mel, embedding, scores, frontendMs: heard - started, encoderMs: performance.now() - heard };
  }
}
