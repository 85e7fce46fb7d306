/** ONNX Runtime in this browser: one thread, WebAssembly, from the files beside this page. */

const RUNTIME = "ort/ort.wasm.min.mjs";
const GLUE = "ort/ort-wasm-simd-threaded.mjs";
const BINARY = "ort/ort-wasm-simd-threaded.wasm";

/** Load the runtime, its three files checked first. */
export async function openEngine(site) {
  const wasmBinary = await site.read(BINARY);
  await site.read(GLUE);
  await site.read(RUNTIME);
  const ort = await import(new URL(RUNTIME, document.baseURI).href);
  // More threads would need headers that a plain static server does not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasmBinary;
  ort.env.wasm.wasmPaths = { mjs: new URL(GLUE, document.baseURI).href };
  ort.env.logLevel = "error";
  return new Engine(ort, (path) => site.read(path));
}

/** Sessions by file, each made once. */
export class Engine {
  /**
   * @param ort the module onnxruntime-web
   * @param {(path: string) => Promise<ArrayBuffer>} read
   */
  constructor(ort, read) {
    this.ort = ort;
    this.read = read;
    this.sessions = new Map();
  }

  /** The model in `path`, as a function from the values of its only input to its outputs by name. */
  async open(path, shape) {
    if (!this.sessions.has(path)) {
      const bytes = new Uint8Array(await this.read(path));
      const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", executionMode: "sequential" };
      this.sessions.set(path, await this.ort.InferenceSession.create(bytes, options));
    }
    const session = this.sessions.get(path);
    return async (values) => {
      const outputs = await session.run({ [session.inputNames[0]]: new this.ort.Tensor("float32", values, shape) });
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
    };
  }
}
