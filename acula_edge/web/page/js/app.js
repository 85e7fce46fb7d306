/** The page: loads and checks the bundle, then scores what is dropped or heard. */

import { browserName } from "./browser.js";
import { decodeRecording } from "./decode.js";
import { openEngine } from "./engine.js";
import { PageError } from "./errors.js";
import { LiveSession } from "./listening.js";
import { openModel, precisions } from "./model.js";
import { PROMPTS_FILE, readPrompts } from "./prompts.js";
import { readLimits } from "./quality.js";
import { scoreRecording } from "./recording.js";
import { selfTest } from "./selftest.js";
import { openSite } from "./site.js";
import { Stages } from "./stages.js";
import { byId, make } from "./view/elements.js";
import { describeSound, ResultView } from "./view/result.js";
import { checkTable, fileTable } from "./view/tables.js";

const LIVE_HOPS_S = [1, 2];
const QUERY = new URLSearchParams(location.search);

/** Everything that was loaded once: site, engine, limits, prompts, view; and by precision, models and self-tests. */
const page = { models: new Map(), tests: new Map(), model: null, sound: null, busy: Promise.resolve() };

/** `data-state` of the page: loading, ready, working, live or failed. */
function setState(state) {
  document.documentElement.dataset.state = state;
}

function showProblem(error) {
  const problem = byId("problem");
  problem.hidden = error === null;
  if (error === null) return;
  const known = error instanceof PageError;
  if (!known) console.error(error);
  const remedy = known ? error.remedy : "This is a bug in acula-edge; the browser's console says more.";
  problem.replaceChildren(make("p", {}, make("strong", {}, error.message || String(error))), ...(remedy ? [make("p", {}, remedy)] : []));
}

/** Do one thing after another, each with its errors shown. */
function attempt(work) {
  page.busy = page.busy.then(async () => {
    showProblem(null);
    try {
      await work();
    } catch (error) {
      showProblem(error);
      setState(page.model === null ? "failed" : "ready");
    }
  });
  return page.busy;
}

async function start() {
  setState("loading");
  byId("not-started").remove();
  byId("status").hidden = false;
  const tell = (path) => page.model === null && (byId("verdict").textContent = `Checking ${path} …`);
  const site = (page.site = await openSite(tell));
  byId("title").textContent = document.title = site.bundle.name;
  showDisclaimer(site.bundle.disclaimer);
  page.limits = readLimits(site.bundle.quality ?? site.about.quality);
  page.prompts = site.has(`bundle/${PROMPTS_FILE}`) ? await readPrompts(await site.read(`bundle/${PROMPTS_FILE}`)) : null;
  page.engine = await openEngine(site);
  page.view = new ResultView(site.bundle, page.limits);
  fillChoices();
  const { version, tested } = site.about.onnxruntime_web;
  const [revision, runtime] = [site.about.created_by.version, `onnxruntime-web ${version}`];
  byId("versions").textContent = `acula-edge ${revision}, ${runtime}${tested ? "" : " (another than acula-edge was tested with)"}.`;
  await choosePrecision(byId("precision").value);
  if (page.model === null) return setState("failed");
  byId("source").hidden = false;
  setState("ready");
  if (QUERY.has("sample")) await scoreSample(QUERY.get("sample"));
}

function showDisclaimer(text) {
  const parts = text.split(/(Not a medical device[:.]?)/);
  byId("disclaimer").replaceChildren(...parts.map((part, i) => (i % 2 ? make("strong", {}, part) : part)));
}

function fillChoices() {
  const { bundle, about } = page.site;
  const made = precisions(page.site);
  const names = { int8: "INT8", float: "float" };
  const option = (value, text, selected) => make("option", { value, textContent: text, selected });
  const wanted = made.includes(QUERY.get("precision")) ? QUERY.get("precision") : made[0];
  byId("precision").replaceChildren(...made.map((name) => {
    return option(name, names[name] + (name === bundle.recommended ? ", recommended" : ""), name === wanted);
  }));
  const own = bundle.input.hop_s;
  const hops = [...LIVE_HOPS_S.filter((hop) => hop < own), own];
  const chosen = hops.filter((hop) => hop <= 2).at(-1) ?? own;
  byId("hop").replaceChildren(...hops.map((hop) => option(hop, `${hop} s${hop === own ? ", the bundle's" : ""}`, hop === chosen)));
  byId("samples").hidden = about.samples.length === 0;
  byId("samples").replaceChildren("Examples:", ...about.samples.map((name) => {
    return make("button", { type: "button", textContent: name, onclick: () => attempt(() => scoreSample(name)) });
  }));
}

/** Open a precision's model, once, and use it if it passes the self-test here. */
async function choosePrecision(precision) {
  const verdict = byId("verdict");
  verdict.className = "";
  if (!page.models.has(precision)) {
    verdict.textContent = `Checking the ${precision === "int8" ? "INT8" : "float"} model …`;
    const model = await openModel(page.site, page.engine, precision);
    page.tests.set(precision, await selfTest(page.site, model));
    page.models.set(precision, model);
  }
  const test = page.tests.get(precision);
  page.model = test.passed ? page.models.get(precision) : null;
  verdict.className = test.passed ? "passed" : "failed";
  const place = `${page.site.bundle.name} on ${browserName()}`;
  verdict.replaceChildren(make("strong", {}, `${place}: self-test ${test.passed ? "passed" : "failed"}. `), test.checks.map((check) => check.detail).join("; "), ".");
  byId("checks").hidden = byId("files").hidden = false;
  byId("check-table").replaceChildren(checkTable([...page.tests.values()]));
  byId("file-table").replaceChildren(fileTable(page.site.checked));
  if (!test.passed) throw new PageError(`This browser does not compute what the ${precision} model computed where it was made, so it scores nothing with it.`);
}

async function scoreSample(name) {
  if (!page.site.about.samples.includes(name)) throw new PageError(`There is no example ${name} here.`);
  await scoreFile(await page.site.read(`samples/${name}`), name);
}

async function scoreFile(buffer, name) {
  const started = performance.now();
  const { decoder, ...sound } = await decodeRecording(buffer, name);
  await scoreSound({ name, decoder, sound, decodeMs: performance.now() - started });
}

/** Score a recording, and again whenever another model is chosen. */
async function scoreSound({ name, decoder, sound, decodeMs }) {
  if (page.model === null) throw new PageError("Choose a model that passes the self-test first.");
  setState("working");
  page.sound = { name, decoder, sound, decodeMs };
  const stages = new Stages();
  if (decodeMs !== null) stages.add("decoding", decodeMs);
  const started = performance.now();
  const result = await scoreRecording(page.model, sound, { limits: page.limits, prompts: page.prompts, stages, onWindow: breathe });
  stages.add("everything but decoding", performance.now() - started);
  const { tasks, quality, zero_shot, windows, resampledTo } = result;
  page.view.show({
    name,
    facts: [describeSound(sound, decoder, resampledTo), ...(sound.warnings ?? []).map((text) => `Warning: ${text}.`)].join(" "),
    sound: { ...sound, startS: 0 },
    windows,
    chosen: 0,
    tasks,
    zeroShot: zero_shot,
    quality,
    verdict: quality,
    stages: stages.summary(),
    json: toJson(name, sound, result, stages),
    live: false,
  });
  setState("ready");
}

function toJson(name, sound, { tasks, quality, zero_shot, windows }, stages) {
  const { failed, ...figures } = quality;
  return {
    audio: name,
    sample_rate_hz: sound.rateHz,
    bundle: page.site.bundle.name,
    precision: page.model.precision,
    tasks,
    quality: figures,
    warnings: sound.warnings ?? [],
    windows: windows.length,
    ...(zero_shot ? { zero_shot } : {}),
    window_scores: windows.map((window) => Array.from(window.scores)),
    timing: stages.summary(),
    self_test: page.tests.get(page.model.precision),
    browser: navigator.userAgent,
    disclaimer: page.site.bundle.disclaimer,
  };
}

/** Let the browser draw between two windows. */
function breathe() {
  return new Promise((resolve) => setTimeout(resolve));
}

function wire() {
  const drop = byId("source");
  const take = (file) => file && attempt(async () => {
    await scoreFile(await file.arrayBuffer(), file.name);
    byId("result").scrollIntoView({ block: "start" });
  });
  byId("file").onchange = (event) => {
    take(event.target.files[0]);
    event.target.value = "";
  };
  drop.ondragover = (event) => event.preventDefault();
  drop.ondragenter = () => byId("drop").classList.add("over");
  drop.ondragleave = (event) => drop.contains(event.relatedTarget) || byId("drop").classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    take(event.dataTransfer.files[0]);
  };
  byId("precision").onchange = (event) => attempt(async () => {
    await choosePrecision(event.target.value);
    if (page.sound !== null) await scoreSound(page.sound);
  });
  byId("microphone").onclick = () => attempt(listen);
}

/** Listen until the person stops it; then score what was heard as a recording. */
async function listen() {
  if (page.model === null) throw new PageError("Choose a model that passes the self-test first.");
  const hopS = Number(byId("hop").value);
  const session = new LiveSession(page.model, page.view, { limits: page.limits, prompts: page.prompts, hopS });
  const heard = await session.run(() => setState("live"));
  if (heard.sound.wave.length) await scoreSound({ name: heard.name, decoder: null, sound: heard.sound, decodeMs: null });
  else setState("ready");
}

wire();
attempt(start);
