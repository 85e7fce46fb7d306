/** The microphone, or a stethoscope that the computer sees as one: samples as they are heard, nothing added. */

import { PageError } from "./errors.js";

// What makes speech pleasant destroys heart and lung sounds.
const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };

/**
 * Start listening.
 *
 * @param {string|null} deviceId null for the browser's choice
 * @param {(wave: Float32Array) => void} onSamples
 * @param {() => void} onEnd the device was unplugged
 * @returns {Promise<{rateHz: number, label: string, stop: () => Promise<void>}>}
 */
export async function openMicrophone(deviceId, onSamples, onEnd) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new PageError("This browser gives no microphone to this page.", "Open it over https or as http://127.0.0.1.");
  }
  const stream = await ask(deviceId);
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    throw error;
  }
  const [track] = stream.getAudioTracks();
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  capture.port.onmessage = (event) => onSamples(event.data);
  track.addEventListener("ended", onEnd);
  context.createMediaStreamSource(stream).connect(capture);
  await context.resume();
  const stop = async () => {
    track.removeEventListener("ended", onEnd);
    track.stop();
    const rest = new Promise((resolve) => {
      capture.port.onmessage = (event) => (event.data === null ? resolve() : onSamples(event.data));
    });
    capture.port.postMessage("flush");
    await Promise.race([rest, new Promise((resolve) => setTimeout(resolve, 500))]);
    await context.close();
  };
  return { rateHz: context.sampleRate, label: track.label, stop };
}

/** Microphones by name; empty before the person has allowed one. */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter((device) => device.kind === "audioinput" && device.label);
}

async function ask(deviceId) {
  const audio = deviceId ? { ...PLAIN, deviceId: { exact: deviceId } } : PLAIN;
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const reasons = {
      NotAllowedError: "This page may not use the microphone.",
      NotFoundError: "This computer has no microphone.",
      NotReadableError: "Another program holds the microphone.",
    };
    const remedy = error.name === "NotAllowedError" ? "Allow it beside the address of this page." : "Plug one in, or choose another.";
    throw new PageError(reasons[error.name] ?? `The microphone cannot be used: ${error.message}`, remedy);
  }
}
