/** What `prove`, `diff`, `inspect`, `convert` and `merge` take: policies, filters, stacks of filters, and processes. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { type Filter, FilterFormatError, readFilter } from "../bpf/index.ts";
import { errorCode } from "../diagnostics/error-code.ts";
import { renderDiagnostics, sanitise } from "../diagnostics/index.ts";
import { builtinPolicies, type ReadResult } from "../formats/index.ts";
import { loadPolicy, readFound, textOf } from "../formats/load.ts";
import type { Policy } from "../policy/types.ts";
import { launchKeyNote, readLiveFilters } from "./live-filters.ts";
import { printError, terminalOptions } from "./output.ts";
import type { readingOf } from "./reading.ts";

/** What a file holds. */
export type Loaded =
  | { readonly kind: "policy"; readonly name: string; readonly policy: Policy }
  /** The oldest first. Of a process's filters the rule of a launch key is left out. */
  | {
      readonly kind: "filters";
      readonly name: string;
      readonly filters: readonly Filter[];
      readonly process?: { readonly launchKey: boolean };
    };

/** How policies are read: `--from` and `--target`. */
type Reading = ReturnType<typeof readingOf>;

/** Far more than any filter and any policy has. */
const largestInput = 8 << 20;

/**
 * Loads a policy (a file or a built-in name), a filter, or several filters joined by `+`, the oldest first. Undefined
 * where that cannot be, and then it has been said why.
 */
export function loadComparable(operand: string, command: string, reading: Reading = {}): Loaded | undefined {
  if (builtinPolicies().includes(operand)) return policyRead(operand, loadPolicy(operand, reading));
  if (isProcess(operand)) return processIn(operand, command);
  const parts = operand.includes("+") && !existsSync(operand) ? operand.split("+") : [operand];
  const filters: Filter[] = [];
  for (const part of parts) {
    const bytes = bytesOf(part);
    if (typeof bytes === "string") {
      printError(`callgate ${command}: cannot read ${sanitise(JSON.stringify(part))}: ${bytes}\n`);
      return undefined;
    }
    if (bytes.length === 0) {
      printError(
        `callgate ${command}: ${sanitise(part)} is empty: a policy begins with version = 1, and a filter has one instruction at least\n`,
      );
      return undefined;
    }
    if (parts.length === 1 && !isBinary(bytes)) return policyIn(operand, bytes, command, reading);
    const filter = filterIn(part, bytes, command);
    if (filter === undefined) return undefined;
    filters.push(filter);
  }
  return { kind: "filters", name: operand, filters };
}

/** Digits are a process, unless there is a file of that name. */
function isProcess(operand: string): boolean {
  return /^\d+$/.test(operand) && !existsSync(operand);
}

function processIn(pid: string, command: string): Loaded | undefined {
  const live = readLiveFilters(pid);
  if ("problem" in live) {
    printError(`callgate ${command}: ${live.problem}\n`);
    return undefined;
  }
  const { name, filters, launchKey } = live;
  if (launchKey) printError(`callgate: note: ${launchKeyNote}\n`);
  return { kind: "filters", name: `process ${pid} (${name})`, filters, process: { launchKey } };
}

/** Loads filters; a policy is refused. */
export function loadFilters(operand: string, command: string): readonly Filter[] | undefined {
  return loadStack(operand, command)?.filters;
}

/** The same, with where they come from. */
export function loadStack(
  operand: string,
  command: string,
): Extract<Loaded, { kind: "filters" }> | undefined {
  const loaded = loadComparable(operand, command);
  if (loaded === undefined || loaded.kind === "filters") return loaded;
  printError(
    `callgate ${command}: ${sanitise(operand)} is a policy, and a filter is wanted: callgate compile makes one\n`,
  );
  return undefined;
}

/** Whether an operand is a filter or several, and no policy. */
export function holdsFilters(operand: string): boolean {
  if (operand === "-" || builtinPolicies().includes(operand)) return false;
  if (isProcess(operand)) return true;
  const [first = operand] = existsSync(operand) ? [operand] : operand.split("+");
  const bytes = bytesOf(first);
  return typeof bytes !== "string" && isBinary(bytes);
}

/** The bytes that were read are all that there is of a pipe: it is not read twice. */
function policyIn(operand: string, bytes: Uint8Array, command: string, reading: Reading): Loaded | undefined {
  const found = textOf(operand, bytes);
  if (typeof found !== "string") return policyRead(operand, readFound(found, reading));
  printError(`callgate ${command}: cannot read ${sanitise(JSON.stringify(operand))}: ${found}\n`);
  return undefined;
}

function policyRead(name: string, { policy, diagnostics }: ReadResult): Loaded | undefined {
  // What is worth a look in a policy is `check`'s to say.
  const errors = diagnostics.filter((one) => one.severity === "error");
  if (errors.length > 0) printError(renderDiagnostics(errors, terminalOptions(2)));
  return policy === undefined ? undefined : { kind: "policy", name, policy };
}

function filterIn(name: string, bytes: Uint8Array, command: string): Filter | undefined {
  try {
    return readFilter(bytes);
  } catch (error) {
    if (!(error instanceof FilterFormatError)) throw error;
    printError(`callgate ${command}: ${sanitise(name)} is no filter: ${error.message}\n`);
    return undefined;
  }
}

function bytesOf(path: string): Uint8Array | string {
  try {
    return readAtMost(path);
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") return "there is no such file";
    if (code === "EACCES" || code === "EPERM") return "permission denied";
    if (code === "EISDIR") return "it is a directory";
    return code === "" ? "it cannot be read" : `it cannot be read (${code})`;
  }
}

/** Devices and pipes have no size, and some no end. */
function readAtMost(path: string): Uint8Array | string {
  const descriptor = path === "-" ? 0 : openSync(path, "r");
  try {
    const bytes = Buffer.alloc(largestInput + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < bytes.length; length += got)
      got = readSync(descriptor, bytes, length, bytes.length - length, null);
    return length > largestInput ? "it is larger than 8 MiB" : bytes.subarray(0, length);
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

/** Text has no byte of 0; instructions always do: their opcodes have 16 bits, and none is above 255. */
function isBinary(bytes: Uint8Array): boolean {
  return bytes.includes(0);
}
