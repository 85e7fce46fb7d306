// Runs the page's numeric modules on what a test hands over, and hands back what they made of it.
//
//   node modules.mjs PAGE REQUEST.json ANSWER.json
//
// Waves travel as files of little-endian float32 beside the request; NaN and infinity do not travel.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [page, requestFile, answerFile] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(path.join(page, "js", name)).href);
const folder = path.dirname(requestFile);

function buffer(name) {
  const bytes = fs.readFileSync(path.join(folder, name));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

function wave(name) {
  return new Float32Array(buffer(name));
}

async function refusal(work) {
  try {
    await work();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
  return null;
}

const [decode, live, numbers, npz, prompts, quality, resampling, scores, selftest, spectrogram, wav, windows] =
  await Promise.all(["decode.js", "live.js", "numbers.js", "npz.js", "prompts.js", "quality.js", "resample.js", "scores.js",
    "selftest.js", "view/spectrogram.js", "wav.js", "windows.js"].map(load));

const tasks = {
  assessQuality: ({ file, rate, limits }) => quality.assessQuality(wave(file), rate, quality.readLimits(limits)),
  resample: ({ file, from, to, piece }) => {
    const samples = wave(file);
    if (!piece) return [...resampling.resample(samples, from, to)];
    const resampler = new resampling.Resampler(from, to);
    const pieces = [];
    for (let i = 0; i < samples.length; i += piece) pieces.push(resampler.push(samples.subarray(i, i + piece)));
    return [...resampling.concatenate([...pieces, resampler.flush()])];
  },
  recordingWindows: ({ file, rate, window, hop, trim }) =>
    windows.recordingWindows(wave(file), rate, window, hop, trim).map((item) => ({ ...item, wave: [...item.wave] })),
  streamWindows: ({ file, window, hop, pieces }) => {
    const stream = new live.StreamWindows(window, hop);
    const samples = wave(file);
    const found = [];
    let start = 0;
    for (let i = 0; start < samples.length; i++) {
      const piece = samples.subarray(start, start + pieces[i % pieces.length]);
      found.push(...stream.push(piece));
      start += piece.length;
    }
    return [...found, ...stream.end()].map((item) => ({ ...item, wave: [...item.wave] }));
  },
  readNpz: async ({ file }) =>
    Object.fromEntries([...(await npz.readNpz(buffer(file)))].map(([name, { shape, data }]) => [name, { shape, data: typeof data === "string" ? data : [...data] }])),
  readWav: async ({ file }) => {
    let sound = null;
    const refused = await refusal(() => (sound = wav.readWav(buffer(file), file)));
    return { refused, isWav: wav.isWav(buffer(file)), rate: sound?.rateHz ?? null, wave: sound ? [...sound.wave] : null, warnings: sound?.warnings };
  },
  restoreSteps: ({ file }) => [...decode.restoreSteps(wave(file))],
  describe: ({ rows, tasks: columns, measurable }) => {
    const pooled = scores.poolWindows(rows.map((row) => Float32Array.from(row)), columns);
    return { pooled: [...pooled], answers: scores.describeScores(pooled, columns, measurable) };
  },
  runningMean: ({ rows, measurable }) => {
    const mean = new scores.RunningMean();
    return rows.map((row, i) => [...mean.add(row, measurable[i])]);
  },
  prompts: async ({ file, embedding, measurable }) => (await prompts.readPrompts(buffer(file))).answer(embedding, measurable),
  compare: ({ found, embedding, scores: expected, tolerance }) => selftest.compare(found, embedding, expected, tolerance),
  general: ({ values, digits }) => values.map((value) => numbers.general(value, digits)),
  bandPlace: ({ frontend, bands, hz }) => hz.map(spectrogram.bandPlace(frontend, bands)),
};

const answers = [];
for (const { task, ...request } of JSON.parse(fs.readFileSync(requestFile, "utf8"))) answers.push(await tasks[task](request));
fs.writeFileSync(answerFile, JSON.stringify(answers));
