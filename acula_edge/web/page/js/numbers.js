/** Small numbers that Python and this page must agree on. */

/** Round half to even, as Python's round() does. */
export function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Median; null of nothing. */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = new Float64Array(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The largest magnitude in `wave`; NaN as soon as one sample is NaN. */
export function peakOf(wave) {
  let peak = 0;
  for (let i = 0; i < wave.length; i++) {
    const magnitude = Math.abs(wave[i]);
    if (!(magnitude <= peak)) peak = magnitude;
    if (Number.isNaN(peak)) return NaN;
  }
  return peak;
}

/** Percentile in [0, 100], interpolated linearly between order statistics, as numpy.percentile's default. */
export function percentile(values, share) {
  const sorted = new Float64Array(values).sort();
  const place = ((sorted.length - 1) * share) / 100;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Mean of numbers. */
export function meanOf(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** A number with `digits` significant ones, written as Python's format "g" does. */
export function general(value, digits) {
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  if (power < -4 || power >= digits) {
    const sign = power < 0 ? "-" : "+";
    return `${trimZeros(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return trimZeros(value.toFixed(Math.max(0, digits - 1 - power)));
}

function trimZeros(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
