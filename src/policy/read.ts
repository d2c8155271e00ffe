/**
 * A document (TOML, JSON or an object) as a layer of a policy: every key checked, every mistake reported with
 * its place, all of a file's mistakes at once.
 */
import { type Diagnostic, type Fix, nearest, type Span } from "../diagnostics/index.ts";
import { abiByName, formatVersion, type KernelVersion, parseVersion } from "../syscalls/index.ts";
import { abiAdvice } from "./abi-name.ts";
import { isDenial, printAction } from "./action.ts";
import type { DocumentNode, TableNode } from "./document.ts";
import {
  choices,
  layerNames,
  leastMemory,
  sectionKeys,
  sizeUnits,
  timeUnits,
  topKeys,
  versionPattern,
} from "./keys.ts";
import { emptyLayer, type PolicyLayer } from "./layer.ts";
import { parseAction, parseRules } from "./parser.ts";
import type { AbiSelection, Action, Limits, Rule } from "./types.ts";

/** A reference to another policy, as `extends` has it. */
export interface Reference {
  readonly name: string;
  readonly span?: Span;
}

export interface ReadLayer {
  readonly layer: PolicyLayer;
  readonly extends: readonly Reference[];
  readonly diagnostics: readonly Diagnostic[];
  /** Those of them that say something of a rule's text, and of nothing else in the policy. */
  readonly aboutRules: readonly Diagnostic[];
}

/** More rules than this are a mistake or an attack: each of them is kept and proved for every call. */
export const mostRules = 20_000;

export function readLayer(root: TableNode): ReadLayer {
  const reader = new DocumentReader();
  if (!root.entries.has("version") && !topKeys.some((section) => root.entries.has(section))) {
    reader.error(
      undefined,
      "not-a-policy",
      "this is not a policy: it has none of a policy's sections",
      "begin with version = 1 and [syscalls]",
    );
    return { layer: emptyLayer, extends: [], diagnostics: reader.diagnostics, aboutRules: [] };
  }
  reader.keys(root, topKeys, "a policy");
  const version = reader.get(root, "version");
  if (version === undefined)
    reader.warn(
      "missing-version",
      "the policy's version is missing: 1 is assumed",
      "write version = 1 at the top",
      root.span,
    );
  else if (version.kind !== "integer" || version.value !== 1n) {
    reader.error(
      version.span,
      "unknown-version",
      "this version of callgate reads version 1 of the policy language",
      "write 1",
    );
  }
  const syscalls = reader.section(root, "syscalls");
  const files = reader.section(root, "files");
  const network = reader.section(root, "network");
  const limits = reader.section(root, "limits");
  const environment = reader.section(root, "environment");
  const hardening = reader.section(root, "hardening");

  const require = reader.rules(syscalls, "require");
  for (const rule of require) {
    if (isDenial(rule.action)) continue;
    reader.error(
      rule.span,
      "require-permits",
      `require holds rules that refuse; ${printAction(rule.action)} does not`,
      "move this rule to rules",
    );
  }
  const networkMode = reader.choice(network, "mode");
  const layer: PolicyLayer = {
    ...defined("name", reader.string(root, "name")),
    ...defined("expect", root.entries.has("expect") ? reader.rules(root, "expect") : undefined),
    ...defined("default", reader.action(syscalls, "default")),
    ...defined("baseline", reader.version(syscalls, "baseline")),
    ...defined("newer", reader.action(syscalls, "newer")),
    abis: reader.abis(syscalls),
    ...defined("otherAbis", reader.action(syscalls, "other-abis")),
    ...defined("multiplexed", reader.choice(syscalls, "multiplexed")),
    require,
    rules: reader.rules(syscalls, "rules"),
    ...defined(
      "files",
      files === undefined
        ? undefined
        : { read: reader.paths(files, "read"), write: reader.paths(files, "write") },
    ),
    ...defined("networkMode", networkMode),
    ports: reader.ports(network, networkMode),
    limits: reader.limits(limits),
    ...defined(
      "environment",
      environment === undefined
        ? undefined
        : { keep: reader.variables(environment, "keep"), set: reader.assignments(environment) },
    ),
    ...defined("newCode", reader.choice(hardening, "new-code")),
    ...defined("exec", reader.choice(hardening, "exec")),
    missingLayers: reader.layers(hardening, "missing-layers"),
  };
  const references = reader.references(root);
  return { layer, extends: references, diagnostics: reader.diagnostics, aboutRules: reader.aboutRules };
}

/** A part of a layer: the key with its value, or nothing where the value is undefined. */
function defined<Key extends string, const T>(key: Key, value: T | undefined): { readonly [K in Key]?: T } {
  const object: { [K in Key]?: T } = {};
  if (value !== undefined) object[key] = value;
  return object;
}

interface Problem {
  readonly message: string;
  readonly label?: string;
}

/** Takes values out of tables; what is wrong becomes a diagnostic, and the value undefined. */
class DocumentReader {
  readonly diagnostics: Diagnostic[] = [];
  readonly aboutRules: Diagnostic[] = [];

  error(span: Span | undefined, id: string, message: string, label?: string): undefined {
    this.diagnostics.push({
      id,
      severity: "error",
      message,
      ...(span === undefined ? {} : { span }),
      ...(label === undefined ? {} : { label }),
    });
    return undefined;
  }

  /** @param file where the file begins, to put there what the label says; a policy made of values has no file */
  warn(id: string, message: string, label: string, file: Span | undefined): void {
    const fix = file === undefined ? {} : { fix: versionAtTop(file) };
    this.diagnostics.push({ id, severity: "warning", message, label, ...fix });
  }

  get(table: TableNode | undefined, key: string): DocumentNode | undefined {
    return table?.entries.get(key)?.value;
  }

  /** Reports keys that have no meaning here. */
  keys(table: TableNode, known: readonly string[], where: string): void {
    for (const [key, entry] of table.entries) {
      if (known.includes(key)) continue;
      const guess = nearest(key, known);
      const label = guess === undefined ? `${where} has ${known.join(", ")}` : `did you mean ${guess}?`;
      this.error(
        entry.key ?? entry.value.span,
        "unknown-key",
        `there is no key ${JSON.stringify(key)} in ${where}`,
        label,
      );
    }
  }

  section(root: TableNode, name: keyof typeof sectionKeys): TableNode | undefined {
    const node = this.get(root, name);
    if (node === undefined) return undefined;
    if (node.kind !== "table") return this.#wrong(node, `[${name}]`, "a section");
    this.keys(node, sectionKeys[name], `[${name}]`);
    return node;
  }

  string(table: TableNode | undefined, key: string): string | undefined {
    const node = this.get(table, key);
    if (node === undefined) return undefined;
    return node.kind === "string" ? node.value : this.#wrong(node, key, "a string");
  }

  /** @param problemOf what is wrong with a string of the list; nothing where nothing is */
  strings(
    table: TableNode | undefined,
    key: string,
    problemOf: (value: string) => Problem | undefined,
  ): readonly string[] {
    const node = this.get(table, key);
    if (node === undefined) return [];
    if (node.kind !== "array") return this.#wrong(node, key, "a list of strings") ?? [];
    return node.items.flatMap((item) => {
      if (item.kind !== "string") return this.#wrong(item, key, "a list of strings") ?? [];
      const problem = problemOf(item.value);
      if (problem === undefined) return [item.value];
      return this.error(item.span, "bad-value", problem.message, problem.label) ?? [];
    });
  }

  paths(table: TableNode | undefined, key: string): readonly string[] {
    return this.strings(table, key, (path) => {
      if (path === "") return { message: "a path that is granted is empty" };
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      if (!/[\u0000-\u001f\u007f]/.test(path)) return undefined;
      return { message: "a path that is granted has a newline or another control character in it" };
    });
  }

  variables(table: TableNode | undefined, key: string): readonly string[] {
    return this.strings(table, key, (name) => {
      if (/^[^=\0]+$/.test(name)) return undefined;
      const label = "values are given under set";
      return {
        message: `${JSON.stringify(name)} is no name of a variable`,
        ...(name.includes("=") ? { label } : {}),
      };
    });
  }

  layers(table: TableNode | undefined, key: string): readonly string[] {
    const known: readonly string[] = layerNames;
    return this.strings(table, key, (name) => {
      if (known.includes(name)) return undefined;
      const guess = nearest(name, known);
      return {
        message: `there is no layer ${JSON.stringify(name)}`,
        label: guess === undefined ? `layers are ${known.join(", ")}` : `did you mean ${guess}?`,
      };
    });
  }

  choice<Key extends keyof typeof choices>(
    table: TableNode | undefined,
    key: Key,
  ): (typeof choices)[Key][number] | undefined {
    const words: readonly (typeof choices)[Key][number][] = choices[key];
    const node = this.get(table, key);
    if (node === undefined) return undefined;
    const word = node.kind === "string" ? words.find((one) => one === node.value) : undefined;
    return (
      word ??
      this.error(node.span, "bad-value", `${key} is ${words.map((one) => JSON.stringify(one)).join(" or ")}`)
    );
  }

  action(table: TableNode | undefined, key: string): Action | undefined {
    const node = this.get(table, key);
    if (node === undefined) return undefined;
    if (node.kind !== "string") return this.#wrong(node, key, "an action in quotes");
    const { action, diagnostics } = parseAction(node.text);
    this.diagnostics.push(...diagnostics);
    if (action?.kind === "ask")
      return this.error(
        node.span,
        "unaskable-call",
        `${key} cannot be ask: it answers for calls whose arguments lie in memory too, which the program can change while somebody is asked`,
        "refuse, and ask by rules that name the calls",
      );
    return action;
  }

  version(table: TableNode | undefined, key: string): KernelVersion | undefined {
    const node = this.get(table, key);
    if (node === undefined) return undefined;
    if (node.kind !== "string") return this.#wrong(node, key, 'a Linux version in quotes: "6.1"');
    const version = versionPattern.test(node.value) ? parseVersion(node.value) : undefined;
    return (
      version ??
      this.error(
        node.span,
        "bad-version",
        `${JSON.stringify(node.value)} is not a Linux version`,
        'write "6.1", for example',
      )
    );
  }

  abis(table: TableNode | undefined): AbiSelection {
    const node = this.get(table, "abis");
    if (node === undefined) return [];
    const items = node.kind === "array" ? node.items : [node];
    if (items.length === 0)
      this.error(node.span, "bad-value", "the list of ABIs is empty", 'write ["native"]');
    return items.flatMap((item) => {
      if (item.kind !== "string") return this.#wrong(item, "abis", 'a list of ABI names, or "all"') ?? [];
      if (item.value === "native" || item.value === "all") return [item.value];
      const abi = abiByName(item.value);
      if (abi !== undefined) return [abi.name];
      return (
        this.error(
          item.span,
          "unknown-abi",
          `there is no ABI ${JSON.stringify(item.value)}`,
          abiAdvice(item.value, ["native", "all"]),
        ) ?? []
      );
    });
  }

  rules(table: TableNode | undefined, key: string): readonly Rule[] {
    const node = this.get(table, key);
    if (node === undefined) return [];
    const items = node.kind === "array" ? node.items : [node];
    const lines = items.reduce((sum, item) => sum + (item.kind === "string" ? countLines(item.value) : 1), 0);
    if (lines > mostRules) {
      return (
        this.error(
          node.span,
          "too-many-rules",
          `${lines} lines of rules are more than the ${mostRules} that callgate takes`,
        ) ?? []
      );
    }
    return items.flatMap((item) => {
      if (item.kind !== "string") return this.#wrong(item, key, "a string of rules, a rule a line") ?? [];
      const { rules, diagnostics } = parseRules(item.text);
      this.diagnostics.push(...diagnostics);
      this.aboutRules.push(...diagnostics);
      return rules;
    });
  }

  /** @param mode what the same section says of the network */
  ports(table: TableNode | undefined, mode: PolicyLayer["networkMode"]): readonly number[] {
    const node = this.get(table, "ports");
    if (node === undefined) return [];
    if (node.kind !== "array") return this.#wrong(node, "ports", "a list of port numbers") ?? [];
    if (mode !== undefined && mode !== "ports" && node.items.length > 0)
      this.error(
        node.span,
        "bad-value",
        `ports are named, and mode is ${JSON.stringify(mode)}: they contradict each other`,
        'mode = "ports" is for these ports only',
      );
    return node.items.flatMap((item) => {
      if (item.kind === "integer" && item.value >= 1n && item.value <= 65535n) return [Number(item.value)];
      return this.error(item.span, "bad-port", "a port is a number from 1 to 65535") ?? [];
    });
  }

  limits(table: TableNode | undefined): Limits {
    const read = (
      key: string,
      units: Readonly<Record<string, number>>,
      example: string,
    ): number | undefined => {
      const node = this.get(table, key);
      if (node === undefined) return undefined;
      const text = node.kind === "string" ? node.value : node.kind === "integer" ? node.value.toString() : "";
      const found = /^([0-9]{1,15})([A-Za-z]*)$/.exec(text);
      const factor = units[found?.[2] ?? ""];
      const amount = Number(found?.[1]) * (factor ?? Number.NaN);
      if (Number.isSafeInteger(amount) && amount > 0) return amount;
      return this.error(node.span, "bad-limit", `${key} is not a limit that can be read`, `write ${example}`);
    };
    /** The kernel ends what it cannot even load, and nobody would know why. */
    const enough = (memory: number | undefined): number | undefined => {
      const node = this.get(table, "memory");
      if (memory === undefined || node === undefined || memory >= leastMemory) return memory;
      return this.error(
        node.span,
        "bad-limit",
        `memory is too small a limit: no program starts with less than ${leastMemory / 1024}K`,
        'write "512M": a number without a unit is one of bytes',
      );
    };
    return {
      ...defined("memory", enough(read("memory", sizeUnits, '"512M"'))),
      ...defined("processes", read("processes", { "": 1 }, "64")),
      ...defined("cpuTime", read("cpu-time", timeUnits, '"30s"')),
      ...defined("wallTime", read("wall-time", timeUnits, '"10m"')),
      ...defined("fileSize", read("file-size", sizeUnits, '"1G"')),
      ...defined("openFiles", read("open-files", { "": 1 }, "256")),
    };
  }

  assignments(table: TableNode): Readonly<Record<string, string>> {
    const node = this.get(table, "set");
    if (node === undefined) return {};
    if (node.kind !== "table") return this.#wrong(node, "set", 'a table: set = { LANG = "C.UTF-8" }') ?? {};
    const result: [string, string][] = [];
    for (const [name, entry] of node.entries) {
      if (
        entry.value.kind === "string" &&
        name !== "" &&
        !/[=\0]/.test(name) &&
        !entry.value.value.includes("\0")
      ) {
        result.push([name, entry.value.value]);
      } else
        this.error(
          entry.value.span,
          "bad-value",
          `the environment variable ${JSON.stringify(name)} is not a string`,
        );
    }
    // A variable may have any name, __proto__ too.
    return Object.fromEntries(result);
  }

  references(root: TableNode): readonly Reference[] {
    const node = this.get(root, "extends");
    if (node === undefined) return [];
    const items = node.kind === "array" ? node.items : [node];
    return items.flatMap((item) => {
      if (item.kind !== "string") return this.#wrong(item, "extends", "a list of policies") ?? [];
      return [item.span === undefined ? { name: item.value } : { name: item.value, span: item.span }];
    });
  }

  #wrong(node: DocumentNode, key: string, wanted: string): undefined {
    const found = node.kind === "other" ? node.what : node.kind === "integer" ? "a number" : `a ${node.kind}`;
    return this.error(node.span, "wrong-type", `${key} is ${wanted}, not ${found.replace(/^a a/, "an a")}`);
  }
}

function versionAtTop({ source, start }: Span): Fix {
  // A JSON policy begins with its brace, a TOML one with whatever stands first.
  const isJson = source.text[start] === "{";
  const at = isJson ? start + 1 : 0;
  const text = isJson ? ' "version": 1,' : "version = 1\n";
  return { message: "write the version", edits: [{ span: { source, start: at, end: at }, text }] };
}

function countLines(text: string): number {
  let count = 1;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** The error that a default of `allow` without a baseline is. */
export function missingBaseline(offered: KernelVersion, span: Span | undefined): Diagnostic {
  const version = formatVersion({ ...offered, patch: 0 });
  return {
    id: "missing-baseline",
    severity: "error",
    message:
      "a policy whose default lets calls through needs a baseline: otherwise every new kernel adds calls to it",
    label: `add baseline = "${version}"`,
    ...(span === undefined ? {} : { span }),
  };
}
