/** Power spectra of frames that follow each other without overlap, under a periodic Hann window. */

/** Shape: wave [T], frame a power of two -> rows [T / frame][frame / 2 + 1]. */
export function powerSpectra(wave, frame) {
  const count = Math.floor(wave.length / frame);
  const window = Float64Array.from({ length: frame }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frame));
  const transform = new Transform(frame);
  return Array.from({ length: count }, (_, row) => {
    const [real, imaginary] = [new Float64Array(frame), new Float64Array(frame)];
    for (let i = 0; i < frame; i++) real[i] = wave[row * frame + i] * window[i];
    transform.run(real, imaginary);
    const power = new Float64Array(frame / 2 + 1);
    for (let bin = 0; bin < power.length; bin++) power[bin] = real[bin] ** 2 + imaginary[bin] ** 2;
    return power;
  });
}

/** Fourier transform of a power of two of values, in place. */
class Transform {
  constructor(size) {
    this.size = size;
    this.cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sines = Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    const bits = Math.log2(size);
    this.places = Uint32Array.from({ length: size }, (_, index) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((index >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  run(real, imaginary) {
    const { size, cosines, sines, places } = this;
    for (let i = 0; i < size; i++) {
      const j = places[i];
      if (j > i) {
        [real[i], real[j]] = [real[j], real[i]];
        [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
      }
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const [a, b, turn] = [start + k, start + k + half, k * step];
          const x = real[b] * cosines[turn] - imaginary[b] * sines[turn];
          const y = real[b] * sines[turn] + imaginary[b] * cosines[turn];
          real[b] = real[a] - x;
          imaginary[b] = imaginary[a] - y;
          real[a] += x;
          imaginary[a] += y;
        }
      }
    }
  }
}
