/** Loads policies from disk: the one file outside `sandbox/`, `lxc/` and `cli/` that imports Node's modules. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve as resolvePath } from "node:path";
import { errorCode } from "../diagnostics/error-code.ts";
import type { Diagnostic } from "../diagnostics/index.ts";
import {
  builtinName,
  builtinPolicies,
  builtinPolicyText,
  type FoundPolicy,
  type PartlyRead,
  type ReadOptions,
  type ReadResult,
  readPartly,
} from "./index.ts";
import { largestFile } from "./limits.ts";

/** How a policy is loaded. */
export interface LoadOptions extends Pick<ReadOptions, "format" | "target"> {
  /** Called with each file that the policy comes from, included ones too, and its content. */
  readonly onRead?: OnRead;
}

type OnRead = (path: string, content: Uint8Array) => void;

/**
 * Reads the policy with a built-in name, or the one in a file (TOML or JSON); `-` is standard input. What keeps
 * a file from being read is a diagnostic too, with the id `unreadable`.
 */
export function loadPolicy(nameOrPath: string, options: LoadOptions = {}): ReadResult {
  const found = findText(nameOrPath, options.onRead);
  if (typeof found === "string") return { policy: undefined, diagnostics: [unreadable(nameOrPath, found)] };
  return readFound(found, options);
}

/** The text of the policy with a built-in name, or of the one in a file; or why there is none. */
export function findText(nameOrPath: string, onRead?: OnRead): FoundPolicy | string {
  const builtin = builtinPolicyText(nameOrPath);
  return builtin === undefined
    ? readText(nameOrPath, onRead)
    : { text: builtin, filename: builtinName(nameOrPath) };
}

/** Reads the policy in a text that was found, and those that it extends. */
export function readFound(found: FoundPolicy, options: LoadOptions = {}): ReadResult {
  const { policy, diagnostics } = readFoundPartly(found, options);
  return { policy, diagnostics };
}

/** The same, and what is left where only rules have mistakes. */
export function readFoundPartly(found: FoundPolicy, { onRead, ...options }: LoadOptions = {}): PartlyRead {
  return readPartly(found.text, {
    ...options,
    filename: found.filename,
    resolve: (path, from) => findPolicy(path, from, onRead),
    // Asked for where it is offered, which is seldom: node:os costs a cold start a millisecond.
    get kernel() {
      return process.getBuiltinModule("node:os").release();
    },
  });
}

/** The diagnostic for a policy that cannot be read. */
export function unreadable(path: string, why: string): Diagnostic {
  return {
    id: "unreadable",
    severity: "error",
    message: `cannot read ${JSON.stringify(path)}: ${why}`,
    ...(why.startsWith("there is no")
      ? { label: `built-in policies are ${builtinPolicies().join(", ")}` }
      : {}),
  };
}

/** A path in `extends`, relative to the file that names it. */
function findPolicy(
  path: string,
  from: string | undefined,
  onRead: OnRead | undefined,
): FoundPolicy | string {
  // As people write it: a name that is relative to a relative one stays so, and stands in messages as short.
  const base = from === undefined || from === standardInput ? "." : dirname(from);
  return readText(isAbsolute(path) ? path : join(base, path), onRead);
}

/** How standard input is called in messages. */
export const standardInput = "<standard input>";

/** The text of a file, or why there is none. */
export function readText(path: string, onRead?: OnRead): FoundPolicy | string {
  try {
    if (path === "-") return textOf(path, readFileSync(0));
    const status = statSync(path);
    if (status.isDirectory()) return "it is a directory";
    if (!status.isFile() && !status.isFIFO()) return "it is not a file";
    if (status.size > largestFile) return "it is larger than 8 MiB: no policy is";
    const content = readFileSync(path);
    onRead?.(path, content);
    return textOf(path, content);
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") return "there is no such file";
    if (code === "EACCES" || code === "EPERM") return "permission denied";
    return code === "" ? "it cannot be read" : `it cannot be read (${code})`;
  }
}

/** The text of a file that was read; `-` is standard input. */
export function textOf(path: string, content: Uint8Array): FoundPolicy | string {
  if (path === "-") return decode(content, standardInput);
  // One file has one name, however it is reached, so that a circle is seen as one. A pipe has only the given one.
  const real = statSync(path).isFile() ? realpathSync(path) : path;
  return decode(content, resolvePath(path) === real ? path : real);
}

function decode(bytes: Uint8Array, filename: string): FoundPolicy | string {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), filename };
  } catch {
    return `it is not UTF-8 text${firstBadLine(bytes)}`;
  }
}

/** Where the first byte stands that is not UTF-8, as far as lines can be told. */
function firstBadLine(bytes: Uint8Array): string {
  const lenient = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const at = lenient.indexOf("\ufffd");
  return at === -1 ? "" : ` (line ${lenient.slice(0, at).split("\n").length})`;
}
