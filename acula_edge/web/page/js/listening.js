/** One session with the microphone, from the click on it to the click on Stop. */

import { LiveScorer } from "./live.js";
import { listMicrophones, openMicrophone } from "./microphone.js";
import { concatenate } from "./resample.js";
import { Stages } from "./stages.js";
import { byId, make } from "./view/elements.js";

const KEPT_S = 600;
const DRAW_EVERY_MS = 100;
const LOWEST_DBFS = -80;

export class LiveSession {
  /**
   * @param model see model.js
   * @param view see view/result.js
   * @param {{limits: object, prompts: object|null, hopS: number}} options
   */
  constructor(model, view, options) {
    this.model = model;
    this.view = view;
    this.options = { ...options, stages: new Stages() };
    this.pieces = [];
    this.kept = 0;
    this.heardS = 0;
    this.last = null;
  }

  /** Listen; resolves with what was heard (the last ten minutes of it) once the person stops it. */
  async run(onStart) {
    let stopped;
    const end = new Promise((resolve) => (stopped = resolve));
    const early = [];
    let take = (wave) => early.push(wave);
    const device = byId("device").value || null;
    const microphone = await openMicrophone(device, (wave) => take(wave), () => stopped());
    this.rateHz = microphone.rateHz;
    this.scorer = new LiveScorer(this.model, microphone.rateHz, this.options.hopS, this.options);
    let work = Promise.resolve();
    let failure = null;
    take = (wave) => {
      this.#keep(wave);
      work = work.then(async () => this.#take(await this.scorer.push(wave))).catch((error) => {
        failure ??= error;
        stopped();
      });
    };
    early.forEach((wave) => take(wave));
    byId("stop").onclick = () => stopped();
    this.#open(true);
    onStart();
    this.label = microphone.label || "microphone";
    const timer = setInterval(() => this.#draw(), DRAW_EVERY_MS);
    await this.#offerDevices();
    await end;
    clearInterval(timer);
    byId("stop").onclick = null;
    await microphone.stop();
    await work;
    if (failure === null && this.heardS > 0) this.#take(await this.scorer.end());
    this.#open(false);
    if (failure !== null) throw failure;
    return { name: `${this.label}, ${new Date().toLocaleTimeString()}`, sound: { wave: concatenate(this.pieces), rateHz: this.rateHz } };
  }

  #open(open) {
    byId("live").hidden = !open;
    byId("source").hidden = open;
    byId("stop").focus();
  }

  #keep(wave) {
    this.pieces.push(wave);
    this.kept += wave.length;
    this.heardS += wave.length / this.rateHz;
    while (this.kept - this.pieces[0].length > KEPT_S * this.rateHz) this.kept -= this.pieces.shift().length;
  }

  #take(updates) {
    this.last = updates.at(-1) ?? this.last;
  }

  #draw() {
    const { last, scorer, heardS, rateHz } = this;
    const shownS = scorer.listener.windowSamples / scorer.listener.rateHz + this.options.hopS;
    const wave = this.#latest(Math.round(shownS * rateHz));
    const wait = `${last === null ? "first" : "next"} answer in ${scorer.waitS.toFixed(1)} s`;
    byId("live-text").textContent = `Listening for ${heardS.toFixed(1)} s, ${wait}${last ? `, real-time factor ${last.real_time_factor.toFixed(4)}` : ""}`;
    this.#drawLevel(wave.subarray(-Math.round(rateHz / 5)));
    this.view.show({
      name: this.label,
      facts: `Live: every answer is about the last ${(scorer.listener.windowSamples / scorer.listener.rateHz).toFixed(2)} s; the bars are the mean of all measurable windows so far.`,
      sound: { wave, rateHz, startS: Math.max(0, heardS - wave.length / rateHz), durationS: shownS },
      windows: last ? [last.window] : [],
      chosen: 0,
      tasks: last ? last.recording : {},
      zeroShot: last?.recording_zero_shot ?? null,
      quality: last?.quality ?? null,
      verdict: { measurable: scorer.mean.measurable, reasons: last?.quality.reasons ?? [] },
      stages: this.options.stages.summary(),
      json: null,
      live: true,
    });
  }

  #drawLevel(wave) {
    const mean = wave.reduce((sum, value) => sum + value, 0) / Math.max(1, wave.length);
    const power = wave.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, wave.length);
    const level = Math.max(LOWEST_DBFS, 10 * Math.log10(power + 1e-12));
    byId("level").setAttribute("aria-valuenow", level.toFixed(0));
    byId("level-text").textContent = `Level ${level.toFixed(0).replace("-", "−")} dBFS`;
    byId("level").firstElementChild.style.width = `${100 * (1 - level / LOWEST_DBFS)}%`;
  }

  #latest(samples) {
    const pieces = [];
    let count = 0;
    for (let i = this.pieces.length - 1; i >= 0 && count < samples; i--) {
      pieces.unshift(this.pieces[i]);
      count += this.pieces[i].length;
    }
    return concatenate(pieces).slice(-samples);
  }

  async #offerDevices() {
    const devices = await listMicrophones();
    const chosen = byId("device").value;
    byId("device-field").hidden = devices.length < 2;
    byId("device").replaceChildren(
      make("option", { value: "", textContent: "the browser's choice" }),
      ...devices.map(({ deviceId, label }) => make("option", { value: deviceId, textContent: label, selected: deviceId === chosen })),
    );
  }
}
