/** The result on the page: one recording, or what the microphone has heard so far. */

import { general } from "../numbers.js";
import { isPlaying, play, stopPlaying } from "../player.js";
import { answerCards } from "./answers.js";
import { byId, make } from "./elements.js";
import { drawRamp, drawSpectrogram } from "./spectrogram.js";
import { qualityTable, timingTable } from "./tables.js";
import { drawWaveform } from "./waveform.js";

/**
 * What is shown, all of it at once.
 *
 * @typedef {object} Shown
 * @property {string} name of the recording
 * @property {string} facts one line about it
 * @property {{wave: Float32Array, rateHz: number, startS: number, durationS?: number}} sound
 * @property {object[]} windows with startS, stopS, durationS, mel and scores
 * @property {number} chosen which of them
 * @property {object} tasks, zeroShot answers by task id
 * @property {object|null} quality
 * @property {{measurable: boolean, reasons: string[]}} verdict whether the answers hold: of the quality, or of a stream
 * @property {object[]} stages
 * @property {object} json what is given out as JSON; null for nothing
 * @property {boolean} live
 */
export class ResultView {
  constructor(bundle, limits) {
    this.bundle = bundle;
    this.limits = limits;
    this.shown = null;
    this.timeAt = () => 0;
    byId("previous").onclick = () => this.choose(this.shown.chosen - 1);
    byId("next").onclick = () => this.choose(this.shown.chosen + 1);
    byId("play").onclick = () => this.#play();
    byId("waveform").onclick = (event) => this.#chooseAt(this.timeAt(event.offsetX));
    const redraw = () => this.draw();
    new ResizeObserver(redraw).observe(byId("waveform"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  /** Show a result in the place of the one before. */
  show(shown) {
    this.shown = shown;
    byId("result").hidden = false;
    byId("recording-title").textContent = shown.name;
    byId("facts").textContent = shown.facts;
    this.#showGate();
    this.#showAnswers();
    byId("quality").parentElement.hidden = shown.quality === null;
    byId("timing").parentElement.hidden = shown.stages.length === 0;
    byId("quality").replaceChildren(...(shown.quality ? [qualityTable(shown.quality, this.limits.checks)] : []));
    byId("timing").replaceChildren(timingTable(shown.stages));
    byId("json").textContent = shown.json ? JSON.stringify(shown.json, null, 2) : "";
    byId("json").parentElement.hidden = shown.json === null;
    this.draw();
  }

  /** Show another window. */
  choose(index) {
    this.shown.chosen = Math.max(0, Math.min(index, this.shown.windows.length - 1));
    this.#showAnswers();
    this.draw();
  }

  /** Draw the waveform, its window and that one's spectrogram. */
  draw() {
    if (this.shown === null) return;
    const { sound, windows, chosen, live } = this.shown;
    const window = windows[chosen] ?? null;
    const mark = windows.length > 1 || live ? window : null;
    this.timeAt = drawWaveform(byId("waveform"), sound, mark);
    byId("waveform").setAttribute("aria-label", `Waveform, ${(sound.wave.length / sound.rateHz).toFixed(1)} seconds`);
    byId("waveform-caption").textContent = windows.length > 1 && !live ? "The shaded window is the one below; choose another by a click." : "";
    const several = windows.length > 1 && !live;
    byId("window-choice").hidden = window === null || live;
    byId("previous").hidden = byId("next").hidden = !several;
    byId("previous").disabled = chosen === 0;
    byId("next").disabled = chosen === windows.length - 1;
    byId("spectrogram").parentElement.hidden = window === null || this.bundle.mel.bands < 2;
    if (window === null) return;
    const span = `${window.startS.toFixed(2)} to ${window.stopS.toFixed(2)} s`;
    byId("window-text").textContent = `${several ? `Window ${chosen + 1} of ${windows.length}, ` : ""}${span}`;
    if (this.bundle.mel.bands < 2) return;
    drawSpectrogram(byId("spectrogram"), window, this.bundle.mel, this.bundle.frontend);
    byId("spectrogram").setAttribute("aria-label", `Mel spectrogram of the sound from ${span}`);
    this.#caption(window);
  }

  #caption({ startS, stopS, durationS }) {
    const { frames, bands } = this.bundle.mel;
    const ramp = make("canvas", { class: "ramp", "aria-hidden": "true" });
    drawRamp(ramp);
    const repeated = stopS - startS < durationS - 1e-6 ? ` The sound is shorter than the model's ${durationS.toFixed(2)} s and is repeated.` : "";
    byId("spectrogram-caption").replaceChildren(
      `${frames} frames of ${bands} mel bands, as the bundle's front end gives them; quiet `, ramp, ` loud.${repeated}`,
    );
  }

  #showGate() {
    const { quality, live } = this.shown;
    const gate = byId("gate");
    gate.hidden = quality === null;
    if (quality === null) return;
    gate.className = quality.measurable ? "gate passed" : "gate failed";
    if (quality.measurable) {
      const count = this.limits.checks.filter((check) => check.name !== "lost").length;
      gate.textContent = `Measurable: all ${count} limits of signal quality are kept${live ? " by the last window" : ""}.`;
    } else {
      gate.replaceChildren(live ? "The last window is not measurable and does not count:" : "Not measurable, so nothing is decided:", make("ul", {}, ...quality.reasons.map((reason) => make("li", {}, reason))));
    }
  }

  #showAnswers() {
    const { tasks, zeroShot, verdict, windows, chosen, live } = this.shown;
    const scores = windows.map((window) => window.scores);
    const context = { ...verdict, tasks: this.bundle.tasks, windows: scores, chosen, live };
    const waiting = make("p", {}, "The first answer comes once a whole window was heard.");
    byId("tasks").replaceChildren(...(windows.length ? answerCards(tasks, context) : [waiting]));
    const prompted = zeroShot ? [make("p", { class: "part" }, "From text prompts, without training for the task"), ...answerCards(zeroShot, context)] : [];
    byId("zero-shot").replaceChildren(...prompted);
  }

  #chooseAt(time) {
    const distances = this.shown.windows.map(({ startS, stopS }) => Math.abs((startS + stopS) / 2 - time));
    if (distances.length && !this.shown.live) this.choose(distances.indexOf(Math.min(...distances)));
  }

  #play() {
    const button = byId("play");
    if (isPlaying()) return stopPlaying();
    const { sound, windows, chosen } = this.shown;
    button.textContent = "Stop playing";
    return play(sound, windows[chosen].startS, windows[chosen].stopS, () => (button.textContent = "Play"));
  }
}

/** One line about a recording. */
export function describeSound({ wave, rateHz }, decoder, resampledTo) {
  const parts = [`${(wave.length / rateHz).toFixed(2)} s`, `${general(rateHz, 6)} Hz`];
  parts.push(resampledTo === null ? "heard at its own rate" : `resampled to ${resampledTo} Hz by this page`);
  if (decoder !== null) parts.push(`decoded by ${decoder}`);
  return parts.join(" · ");
}
