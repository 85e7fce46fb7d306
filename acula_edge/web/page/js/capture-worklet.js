/** Hands samples from the audio thread to the page, a tenth of a second at a time. */

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.port.onmessage = () => {
      this.#send();
      this.port.postMessage(null);
    };
  }

  process([[samples]]) {
    if (samples === undefined) return true;
    for (const sample of samples) {
      this.piece[this.filled++] = sample;
      if (this.filled === this.piece.length) this.#send();
    }
    return true;
  }

  #send() {
    if (this.filled) this.port.postMessage(this.piece.slice(0, this.filled));
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
