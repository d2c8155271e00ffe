/**
 * A container's configuration as LXC reads it: line by line, includes in their place, keys that begin with `lxc.`
 * and, which LXC passes over, our own that begin with `syscall.`.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../diagnostics/error-code.ts";
import type { Diagnostic, Source, Span } from "../diagnostics/index.ts";
import { beginMark, endMark } from "./block.ts";

export interface ConfigLine {
  readonly key: string;
  readonly value: string;
  readonly keySpan: Span;
  readonly valueSpan: Span;
  /** Written by `callgate lxc enable`. */
  readonly isManaged: boolean;
}

export interface ContainerConfig {
  /** In the order in which LXC takes them. */
  readonly lines: readonly ConfigLine[];
  /** The container's own file, without what it includes. */
  readonly source: Source;
  /** Every file and folder that was read. */
  readonly consulted: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** LXC stops at a hundred; a circle of includes does not end by itself. */
const deepestInclude = 32;

/** Reads a container's configuration; files that cannot be read are diagnostics. */
export function readConfig(path: string): ContainerConfig {
  const diagnostics: Diagnostic[] = [];
  const consulted: string[] = [];
  const text = textOf(path, undefined, diagnostics);
  const source: Source = { name: path, text: text ?? "" };
  const lines = text === undefined ? [] : linesOf(source, 0, consulted, diagnostics);
  return { lines, source, consulted: [path, ...consulted], diagnostics };
}

/** The same from a text, for what a changed configuration would say. */
export function readConfigText(source: Source): ContainerConfig {
  const diagnostics: Diagnostic[] = [];
  const consulted: string[] = [];
  const lines = linesOf(source, 0, consulted, diagnostics);
  return { lines, source, consulted: [source.name, ...consulted], diagnostics };
}

function textOf(path: string, span: Span | undefined, diagnostics: Diagnostic[]): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = errorCode(error) ?? "it cannot be read";
    diagnostics.push({
      id: "unreadable",
      severity: "error",
      message: `cannot read ${JSON.stringify(path)}: ${reasons[code] ?? code}`,
      ...(span === undefined ? {} : { span }),
    });
    return undefined;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

function linesOf(
  source: Source,
  depth: number,
  consulted: string[],
  diagnostics: Diagnostic[],
): readonly ConfigLine[] {
  const found: ConfigLine[] = [];
  let isManaged = false;
  for (let start = 0; start < source.text.length; ) {
    const newline = source.text.indexOf("\n", start);
    const end = newline === -1 ? source.text.length : newline;
    const text = source.text.slice(start, end);
    if (text.startsWith(beginMark)) isManaged = true;
    if (text.startsWith(endMark)) isManaged = false;
    const line = lineOf(source, start, text, isManaged);
    start = end + 1;
    if (line === undefined) continue;
    found.push(line);
    if (line.key === "lxc.include") found.push(...included(line, depth, consulted, diagnostics));
  }
  return found;
}

function lineOf(source: Source, start: number, text: string, isManaged: boolean): ConfigLine | undefined {
  const match = /^(\s*)((?:lxc|syscall)\.[^=\s]*)(\s*=\s*)(.*?)\s*$/.exec(text);
  if (match === null) return undefined;
  const [, indent = "", key = "", equals = "", written = ""] = match;
  const keyStart = start + indent.length;
  const quoted = /^(["'])(.*)\1$/.exec(written);
  const value = quoted?.[2] ?? written;
  const valueStart = keyStart + key.length + equals.length + (quoted === null ? 0 : 1);
  return {
    key,
    value,
    keySpan: { source, start: keyStart, end: keyStart + key.length },
    valueSpan: { source, start: valueStart, end: valueStart + value.length },
    isManaged,
  };
}

/** LXC takes a file, or of a folder all that ends in .conf. */
function included(
  line: ConfigLine,
  depth: number,
  consulted: string[],
  diagnostics: Diagnostic[],
): readonly ConfigLine[] {
  if (depth >= deepestInclude) {
    const message = `more than ${deepestInclude} files include each other`;
    diagnostics.push({ id: "include-circle", severity: "error", message, span: line.valueSpan });
    return [];
  }
  const path = line.value;
  consulted.push(path);
  const files = filesAt(path);
  return files.flatMap((file) => {
    if (file !== path) consulted.push(file);
    const text = textOf(file, line.valueSpan, diagnostics);
    return text === undefined ? [] : linesOf({ name: file, text }, depth + 1, consulted, diagnostics);
  });
}

function filesAt(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => name.endsWith(".conf"))
      .sort()
      .map((name) => join(path, name));
  } catch {
    return [path]; // reading it says why
  }
}

/** The value that counts for LXC: the last one; an empty one takes all earlier ones back. */
export function lastValue(lines: readonly ConfigLine[], key: string): ConfigLine | undefined {
  const last = lines.findLast((line) => line.key === key);
  return last === undefined || last.value === "" ? undefined : last;
}

/** The values of a key that gathers them: all since the last empty one. */
export function allValues(lines: readonly ConfigLine[], key: string): readonly string[] {
  const own = lines.filter((line) => line.key === key);
  return own.slice(own.findLastIndex((line) => line.value === "") + 1).map((line) => line.value);
}
