/** A policy as callgate's own TOML, or as JSON: read again it decides every call the same. */
import { printAction } from "../policy/action.ts";
import { printRule } from "../policy/printer.ts";
import type { Policy, Rule } from "../policy/types.ts";
import { formatVersion, newestVersion } from "../syscalls/index.ts";

/** A key and its value, as both formats have them. */
type Values = Readonly<
  Record<string, string | number | readonly string[] | readonly number[] | Readonly<Record<string, string>>>
>;

/** The policy's sections with their keys; rules are lines. */
function sectionsOf(policy: Policy): readonly (readonly [name: string, values: Values])[] {
  const { syscalls, files, network, limits, environment, hardening } = policy;
  const lets = syscalls.default.kind === "allow" || syscalls.default.kind === "log";
  // A policy made by a program may let calls through without a baseline; a text may not.
  const baseline = syscalls.baseline ?? (lets ? newestVersion : undefined);
  const rulesOf = (rules: readonly Rule[]): readonly string[] => rules.map(printRule);
  return [
    [
      "syscalls",
      {
        default: printAction(syscalls.default),
        ...(baseline === undefined ? {} : { baseline: formatVersion(baseline) }),
        newer: printAction(syscalls.newer),
        abis: [...syscalls.abis],
        "other-abis": printAction(syscalls.otherAbis),
        multiplexed: syscalls.multiplexed,
        ...(syscalls.require.length === 0 ? {} : { require: rulesOf(syscalls.require) }),
        ...(syscalls.rules.length === 0 ? {} : { rules: rulesOf(syscalls.rules) }),
      },
    ],
    ...(files === undefined ? [] : [["files", { read: files.read, write: files.write }] as const]),
    ...(network === undefined
      ? []
      : [
          [
            "network",
            { mode: network.mode, ...(network.ports.length === 0 ? {} : { ports: network.ports }) },
          ] as const,
        ]),
    ...(limits === undefined ? [] : [["limits", limitValues(limits)] as const]),
    ...(environment === undefined
      ? []
      : [["environment", { keep: environment.keep, set: environment.set }] as const]),
    ...(hardening === undefined
      ? []
      : [
          [
            "hardening",
            {
              "new-code": hardening.newCode,
              exec: hardening.exec,
              "missing-layers": hardening.missingLayers,
            },
          ] as const,
        ]),
  ];
}

function limitValues(limits: NonNullable<Policy["limits"]>): Values {
  const { memory, processes, cpuTime, wallTime, fileSize, openFiles } = limits;
  const named = {
    memory,
    processes,
    "cpu-time": cpuTime,
    "wall-time": wallTime,
    "file-size": fileSize,
    "open-files": openFiles,
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

const isRules = (key: string): boolean => key === "rules" || key === "require";

export function writeToml(policy: Policy): string {
  const head = ["version = 1", ...(policy.name === undefined ? [] : [`name = ${quoted(policy.name)}`])];
  const expected = policy.expect === undefined ? [] : [block("expect", policy.expect.map(printRule))];
  const sections = sectionsOf(policy).map(([name, values]) => {
    const lines = Object.entries(values).map(([key, value]) =>
      isRules(key) && isStrings(value) ? block(key, value) : `${key} = ${tomlValue(value)}`,
    );
    return `\n[${name}]\n${lines.join("\n")}\n`;
  });
  return `${[...head, ...expected].join("\n")}\n${sections.join("")}`;
}

function isStrings(value: Values[string]): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Rules, one a line; a reason with three quotes in it would end the block. */
function block(key: string, lines: readonly string[]): string {
  return `${key} = '''\n${lines.map((line) => `${line.replaceAll("'''", "' ' '")}\n`).join("")}'''`;
}

function tomlValue(value: Values[string]): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value))
    return `[${value.map((item: string | number) => (typeof item === "number" ? String(item) : quoted(item))).join(", ")}]`;
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${quoted(key)} = ${quoted(String(item))}`)
    .join(", ")} }`;
}

/** TOML's basic strings are JSON's, but for one character. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}

export function writeJson(policy: Policy): string {
  const document = {
    version: 1,
    ...(policy.name === undefined ? {} : { name: policy.name }),
    ...(policy.expect === undefined ? {} : { expect: policy.expect.map(printRule) }),
    ...Object.fromEntries(sectionsOf(policy)),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
