/** Measurable or not, and why: the bundle's limits applied to one recording or window. */

import { PageError } from "./errors.js";
import { measureQuality } from "./figures.js";
import { general } from "./numbers.js";

const SCHEMA = "acula-edge/quality/1";

/** The limits in bundle.json, checked. */
export function readLimits(entry) {
  if (entry?.schema !== SCHEMA) {
    throw new PageError(`this bundle's limits of quality are of another version (${entry?.schema})`);
  }
  return entry;
}

/**
 * Judge one recording at the rate at which it was made.
 *
 * @param {{checks: object[], analysis: object}} limits see readLimits
 * @returns `measurable`, `reasons` (phrases, empty when measurable), `failed` (names of figures), and the figures.
 */
export function assessQuality(wave, rateHz, limits) {
  const figures = { lost: 0, ...measureQuality(wave, rateHz, limits.analysis) };
  const reasons = [];
  const failed = [];
  for (const check of limits.checks) {
    const reason = judge(check, figures[check.name]);
    if (reason === null) continue;
    reasons.push(reason);
    failed.push(check.name);
    if (check.final) break;
  }
  return { measurable: reasons.length === 0, reasons, failed, ...figures };
}

/** Why `value` fails a check, or null where it passes. */
function judge(check, value) {
  if (value === null || value === undefined) {
    return check.name === "level_dbfs" ? `${check.reason}: digital silence` : null;
  }
  const upper = check.at_most !== undefined;
  const limit = upper ? check.at_most : check.at_least;
  if (upper ? value <= limit : value >= limit) return null;
  return `${check.reason}: ${withUnit(value, check.unit, 3)}, ${upper ? "at most" : "at least"} ${withUnit(limit, check.unit, 6)}`;
}

/** A figure in its unit; a share in percent. */
export function withUnit(value, unit, digits) {
  return unit === "share" ? `${general(100 * value, digits)} %` : `${general(value, digits)} ${unit}`;
}
