/** The page's tables: quality, timing, self-test, files. */

import { table } from "./elements.js";

/** Every figure that a limit judges. */
export function qualityTable(quality, checks) {
  const shown = checks.filter((check) => check.name !== "lost");
  const rows = shown.map((check) => {
    const value = quality[check.name];
    const bound = check.at_most !== undefined ? `≤ ${shortly(check.at_most, check.unit)}` : `≥ ${shortly(check.at_least, check.unit)}`;
    const failed = quality.failed.includes(check.name);
    const text = value === null || value === undefined ? "none" : shortly(value, check.unit);
    return [{ text: NAMES[check.name] ?? check.name, class: failed ? "bad" : "" }, { text, class: failed ? "bad" : "" }, bound];
  });
  return table(["figure", "here ", "limit "], rows);
}

const NAMES = {
  duration_s: "length",
  level_dbfs: "level",
  flat: "standing still",
  clipped: "clipped",
  dc_offset: "offset, of full scale",
  bandwidth_hz: "bandwidth",
  snr_db: "above the noise",
  contact_lost: "contact lost",
  handling: "handling noise",
};

/** A figure in its unit, with three digits at most. */
function shortly(value, unit) {
  if (unit === "share") return value > 0 && value < 1e-4 ? "< 0.01 %" : `${round(100 * value)} %`;
  return unit === "of full scale" ? round(value, 3) : `${round(value)} ${unit}`;
}

function round(value, digits = 2) {
  return String(Number(Math.abs(value) < 10 ? value.toFixed(digits) : value.toPrecision(3))).replace("-", "−");
}

/** Medians by stage. */
export function timingTable(stages) {
  return table(["stage", "median ", "runs "], stages.map(({ stage, p50_ms, n }) => [stage, milliseconds(p50_ms), n]));
}

export function milliseconds(value) {
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

/** What the self-test of each precision found. */
export function checkTable(results) {
  const rows = results.flatMap((result) => result.checks.map((check) => [
    check.name, { text: check.passed ? "passed" : "failed", class: check.passed ? "" : "bad" }, check.detail,
  ]));
  const times = results.map((result) => [
    `${result.precision}, time`, "", result.stages.map(({ stage, p50_ms }) => `${stage} ${milliseconds(p50_ms)}`).join(", "),
  ]);
  return table(["check", "", "found"], [...rows, ...times]);
}

/** Files that were read, with what they hash to. */
export function fileTable(checked) {
  const rows = [...checked].map(([path, { sha256, bytes }]) => [path, Math.ceil(bytes / 1024), { text: sha256, class: "mono" }]);
  return table(["file", "KiB ", "SHA-256"], rows);
}
