/** Several channels into one, as acula_edge/audio/channels.py does it. */

const CANCELLED = 0.25;

/**
 * The mean of channels; where they cancel each other the loudest alone.
 *
 * @param {(Float32Array)[]} channels each [T]
 * @returns {{wave: Float32Array, warnings: string[]}}
 */
export function mixChannels(channels) {
  if (channels.length === 1) return { wave: channels[0], warnings: [] };
  const wave = new Float32Array(channels[0].length);
  for (let i = 0; i < wave.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    wave[i] = sum / channels.length;
  }
  const powers = channels.map(power);
  const together = powers.reduce((total, value) => total + value, 0) / channels.length ** 2;
  if (!(power(wave) < CANCELLED * together)) return { wave, warnings: [] };
  const loudest = powers.indexOf(Math.max(...powers));
  const warning = `its channels cancel each other; channel ${loudest + 1}, the loudest, is heard alone`;
  return { wave: channels[loudest], warnings: [warning] };
}

/** Power of what moves; an offset is no sound. */
function power(wave) {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < wave.length; i++) {
    sum += wave[i];
    squares += wave[i] * wave[i];
  }
  return squares - (sum * sum) / Math.max(1, wave.length);
}
