/** NumPy's .npz: a zip of .npy arrays, read without a library. */

import { PageError } from "./errors.js";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

const READERS = {
  "<f4": [4, (view, at) => view.getFloat32(at, true), Float32Array],
  "<f8": [8, (view, at) => view.getFloat64(at, true), Float64Array],
  "<i2": [2, (view, at) => view.getInt16(at, true), Int16Array],
  "<i4": [4, (view, at) => view.getInt32(at, true), Int32Array],
  "<i8": [8, (view, at) => Number(view.getBigInt64(at, true)), Float64Array],
  "|u1": [1, (view, at) => view.getUint8(at), Uint8Array],
  "|i1": [1, (view, at) => view.getInt8(at), Int8Array],
  "|b1": [1, (view, at) => view.getUint8(at), Uint8Array],
};

/**
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Map<string, {shape: number[], data: ArrayLike<number>|string}>>} arrays by name; one of text, of
 *   which only those without dimensions are read, has a string as its data.
 */
export async function readNpz(buffer, name = "this file") {
  const arrays = new Map();
  for (const [entry, bytes] of await unzip(buffer, name)) {
    if (entry.endsWith(".npy")) arrays.set(entry.slice(0, -4), readNpy(bytes, `${entry} in ${name}`));
  }
  return arrays;
}

async function unzip(buffer, name) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) throw new PageError(`${name} is no zip archive`);
  const entries = [];
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== ENTRY) throw new PageError(`${name} is a damaged zip archive`);
    const method = view.getUint16(at + 10, true);
    const packed = view.getUint32(at + 20, true);
    const [nameLength, extraLength, noteLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const local = view.getUint32(at + 42, true);
    const entry = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameLength));
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    entries.push([entry, await unpack(new Uint8Array(buffer, start, packed), method, `${entry} in ${name}`)]);
    at += 46 + nameLength + extraLength + noteLength;
  }
  return entries;
}

async function unpack(bytes, method, name) {
  if (method === STORED) return bytes.slice();
  if (method !== DEFLATED) throw new PageError(`${name} is compressed by a method that is not read (${method})`);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** One .npy file. */
export function readNpy(bytes, name = "this array") {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (start, length) => new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  if (text(1, 5) !== "NUMPY") throw new PageError(`${name} is no NumPy array`);
  const wide = bytes[6] > 1;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = text(start, length);
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((item) => item.trim()).map(Number);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const body = start + length;
  if (/'fortran_order':\s*True/.test(header)) throw new PageError(`${name} lies column by column, which is not read`);
  const characters = /^<U(\d+)$/.exec(type ?? "")?.[1];
  if (characters !== undefined && shape.length === 0) {
    const points = Array.from({ length: Number(characters) }, (_, i) => view.getUint32(body + 4 * i, true));
    return { shape, data: points.filter((point) => point).map((point) => String.fromCodePoint(point)).join("") };
  }
  const reader = READERS[type];
  if (reader === undefined) throw new PageError(`${name} has a type that is not read (${type})`);
  const [width, get, ArrayType] = reader;
  const data = new ArrayType(size);
  for (let i = 0; i < size; i++) data[i] = get(view, body + i * width);
  return { shape, data };
}

/** Row `index` of an array whose first dimension counts rows. */
export function row(array, index) {
  const width = array.data.length / array.shape[0];
  return array.data.slice(index * width, (index + 1) * width);
}
