/** The files beside this page, each compared with its SHA-256 before anything in it is used. */

import { PageError } from "./errors.js";

const SITE_FILE = "site.json";
const SITE_SCHEMA = "acula-edge/web/1";
const BUNDLE_SCHEMA = "acula-edge/bundle/1";

/**
 * @returns {Promise<Site>}
 * @param {(path: string) => void} [onFile] told of every file before it is read
 */
export async function openSite(onFile = () => {}) {
  if (globalThis.crypto?.subtle === undefined) {
    throw new PageError(
      "Browsers check files, and give a microphone, only to pages that come over https or from this computer.",
      "Open it as http://127.0.0.1 or http://localhost, or serve it over https.",
    );
  }
  const about = parse(await fetchBytes(SITE_FILE), SITE_FILE, SITE_SCHEMA);
  const site = new Site(about, onFile);
  site.bundle = parse(await site.read("bundle/bundle.json"), "bundle/bundle.json", BUNDLE_SCHEMA);
  return site;
}

/**
 * @property {object} about content of site.json
 * @property {object} bundle content of the bundle's bundle.json
 */
export class Site {
  constructor(about, onFile) {
    this.about = about;
    this.bundle = null;
    this.checked = new Map();
    this.onFile = onFile;
  }

  /** Whether the folder holds `path`. */
  has(path) {
    return path in this.about.files;
  }

  /** Bytes of a file, after the check. */
  async read(path) {
    this.onFile(path);
    const buffer = await fetchBytes(path);
    const found = await sha256(buffer);
    for (const [source, expected] of this.#expectations(path)) {
      if (found !== expected) {
        throw new PageError(
          `${path} was altered: its SHA-256 begins with ${found.slice(0, 12)}, ${source} says ${String(expected).slice(0, 12)}`,
          "Write the page again with acula-edge bundle web, and copy it whole.",
        );
      }
    }
    this.checked.set(path, { sha256: found, bytes: buffer.byteLength });
    return buffer;
  }

  /** What a file must hash to: by site.json, and a file of the bundle also by its bundle.json. */
  #expectations(path) {
    const expectations = [[SITE_FILE, this.about.files[path]]];
    const name = path.startsWith("bundle/") ? path.slice("bundle/".length) : null;
    if (name !== null && this.bundle !== null) expectations.push(["bundle.json", this.bundle.files[name]]);
    return expectations;
  }
}

/** Hexadecimal SHA-256. */
export async function sha256(buffer) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function fetchBytes(path) {
  let response;
  try {
    response = await fetch(path.split("/").map(encodeURIComponent).join("/"), { cache: "no-cache" });
  } catch (error) {
    throw new PageError(`${path} cannot be read: ${error.message}`, "Is the server that gave this page still running?");
  }
  if (!response.ok) throw new PageError(`${path} is missing (${response.status})`, "Copy the page's folder whole.");
  return response.arrayBuffer();
}

function parse(buffer, path, schema) {
  let value;
  try {
    value = JSON.parse(new TextDecoder().decode(buffer));
  } catch {
    throw new PageError(`${path} is no JSON`);
  }
  if (value.schema !== schema) throw new PageError(`${path} has the schema ${value.schema}; this page reads ${schema}`);
  return value;
}
