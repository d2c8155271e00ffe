/** The socket addresses that a program connected to or listened on, as it said them. */
import { quoteText } from "../denials/index.ts";
import { syscallByNumber } from "../syscalls/index.ts";
import type { Observation } from "./records.ts";

/** Each address once, in the order in which they came. */
export function addressUse(observation: Observation): readonly string[] {
  const found = new Set<string>();
  for (const { kind, call, bytes } of observation.texts) {
    const text = kind === "address" ? describeAddress(bytes) : undefined;
    const name = syscallByNumber(call.abi, call.nr)?.name;
    if (text !== undefined && name !== undefined) found.add(`${name} ${text}`);
  }
  return [...found];
}

/** A `struct sockaddr`; undefined for families without ports and paths. */
export function describeAddress(bytes: Uint8Array): string | undefined {
  return socketAddress(bytes)?.text;
}

export interface SocketAddress {
  readonly text: string;
  /** Of an address of the internet. */
  readonly port?: number;
  /** Of a socket that is a file. */
  readonly path?: string;
}

/** As `describeAddress`, with its parts. */
export function socketAddress(bytes: Uint8Array): SocketAddress | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 2) return undefined;
  switch (view.getUint16(0, true)) {
    case 1: {
      const named = bytes.subarray(2);
      if (named.length === 0) return undefined;
      // An abstract name begins with a NUL, and a path ends with one.
      const isAbstract = named[0] === 0;
      const end = named.indexOf(0, 1);
      const name = new TextDecoder().decode(named.subarray(isAbstract ? 1 : 0, end === -1 ? undefined : end));
      return isAbstract
        ? { text: `unix ${quoteText(`@${name}`)}` }
        : { text: `unix ${quoteText(name)}`, path: name };
    }
    case 2: {
      if (bytes.length < 8) return undefined;
      const port = view.getUint16(2);
      return { text: `${bytes.subarray(4, 8).join(".")}:${port}`, port };
    }
    case 10: {
      if (bytes.length < 24) return undefined;
      const groups = [0, 2, 4, 6, 8, 10, 12, 14].map((at) => view.getUint16(8 + at).toString(16));
      const host = groups
        .join(":")
        .replace(/\b0(?::0)+\b/, ":")
        .replace(/:{3,}/, "::");
      const port = view.getUint16(2);
      return { text: `[${host}]:${port}`, port };
    }
    default:
      return undefined;
  }
}
