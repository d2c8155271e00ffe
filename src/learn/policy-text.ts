/** The file that learning writes: a policy with its rules one a line, each with where it comes from. */
import type { Source } from "../diagnostics/index.ts";
import { parseTomlDocument } from "../formats/toml.ts";
import type { AbiName } from "../syscalls/index.ts";
import { type LearnedRules, plainComment } from "./learned-rules.ts";
import type { Observation } from "./records.ts";
import { unwatchedRules } from "./unwatched.ts";
import { learnedBaseline } from "./watch-policy.ts";

const history = /^# learned: (\d+) runs?, the last (\d+) brought nothing new$/m;

export interface History {
  readonly runs: number;
  /** How many of the last runs brought nothing new. */
  readonly idle: number;
}

/** How often a policy was learned from; nothing where it does not say. */
export function historyOf(text: string): History {
  const found = history.exec(text);
  return { runs: Number(found?.[1] ?? 0), idle: Number(found?.[2] ?? 0) };
}

function historyLine({ runs, idle }: History): string {
  return historyText(runs === 1 ? "run" : "runs", `${runs}`, `${idle}`);
}

/** The same with something else in the place of the numbers. */
export function historyText(word: "run" | "runs", runs: string, idle: string): string {
  return `# learned: ${runs} ${word}, the last ${idle} brought nothing new`;
}

/** What stands around that line; undefined where there is none. */
export function aroundHistory(text: string): { readonly before: string; readonly after: string } | undefined {
  const found = history.exec(text);
  if (found === null) return undefined;
  return { before: text.slice(0, found.index), after: text.slice(found.index + found[0].length) };
}

/** The text with another run in its history; without the line it stays as it is. */
export function withHistory(text: string, next: History): string {
  return text.replace(history, historyLine(next));
}

/** Rules as lines, their comments in one column where they fit. */
function ruleLines({ rules }: Pick<LearnedRules, "rules">): readonly string[] {
  const width = Math.min(72, Math.max(0, ...rules.map(({ text }) => text.length)));
  return rules.map(({ text, comment }) => `${text.padEnd(width)}  # ${comment}`);
}

/** A new policy. `command` is what was run, for its head. */
export function newPolicyText(name: string, command: readonly string[], native: AbiName): string {
  return [
    `# Written by callgate learn. It permits what this did: ${plainComment(command.join(" ")).slice(0, 200)}`,
    "# Rules say which program made a call first, and how often. Take away what the program should not do.",
    historyLine({ runs: 0, idle: 0 }),
    "version = 1",
    `name = ${JSON.stringify(name)}`,
    "",
    "[syscalls]",
    'default = "deny"',
    `baseline = "${learnedBaseline}"    # what is newer and not named below does not exist: C libraries take the older call`,
    'abis = ["native"]',
    'other-abis = "kill"',
    "rules = '''",
    "errno(ENOSYS) clone3  # its flags are in memory, where no filter sees them: C libraries then use clone",
    "",
    "# Not watched: what every program does, with what it has.",
    ...unwatchedRules(native),
    "",
    "# Seen.",
    "'''",
    "",
  ].join("\n");
}

/**
 * The text with limits as a comment: what a run used is no bound for the next one, so that somebody has to choose.
 * Sizes and times are rounded up to a power of two with room for as much again.
 */
export function withLimits(text: string, { use }: Pick<Observation, "use">): string {
  if (use === undefined) return text;
  const mebibytes = 2 ** Math.ceil(Math.log2(Math.max(16, use.largest / 1024)) + 1);
  const seconds = 2 ** Math.ceil(Math.log2(Math.max(4, use.processor / 1e6)) + 1);
  return [
    text.trimEnd(),
    "",
    `# Used: ${describeLimits(use)}. To limit it, take away the # here:`,
    "# [limits]",
    `# memory = "${mebibytes}M"`,
    `# cpu-time = "${seconds}s"`,
    "",
  ].join("\n");
}

/** `61 MiB in the largest process, 0.42 s of processor time`. */
export function describeLimits({ largest, processor }: NonNullable<Observation["use"]>): string {
  return limitsText(`${Math.ceil(largest / 1024)}`, (Math.round(processor / 1e4) / 100).toFixed(2));
}

/** The same with something else in the place of the numbers. */
export function limitsText(mebibytes: string, seconds: string): string {
  return `${mebibytes} MiB in the largest process, ${seconds} s of processor time`;
}

/** Adds rules to the end of a policy's own, and ABIs to its list; a sentence where the file has no place for them. */
export function addRules(source: Source, learned: LearnedRules): string | { readonly problem: string } {
  if (learned.rules.length === 0 && learned.abis.length === 0) return source.text;
  const { root } = parseTomlDocument(source);
  const section = root?.entries.get("syscalls")?.value;
  const entries = section?.kind === "table" ? section.entries : undefined;
  const block = entries?.get("rules")?.value.span;
  if (block === undefined || !source.text.slice(block.start, block.end).endsWith("'''"))
    return { problem: "it has no rules = '''…''' under [syscalls], where rules could be added" };
  const at = block.end - 3;
  const before = source.text.slice(0, at);
  const newline = before.endsWith("\n") ? "" : "\n";
  const added = `${newline}${ruleLines(learned).join("\n")}${learned.rules.length === 0 ? "" : "\n"}`;
  const text = before + added + source.text.slice(at);
  if (learned.abis.length === 0) return text;
  const names = learned.abis.map((abi) => `, ${JSON.stringify(abi)}`).join("");
  const abis = entries?.get("abis")?.value;
  if (abis?.kind !== "array" || abis.span === undefined || abis.items.length === 0)
    return {
      problem: `it has no list of ABIs, and the program uses ${learned.abis.join(", ")}: write abis = ["native"${names}]`,
    };
  const end = abis.span.end - 1;
  return text.slice(0, end) + names + text.slice(end);
}
