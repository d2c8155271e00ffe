/**
 * Whether `callgate run` would use a kept plan, asked of the launcher, which alone knows (`launcher kept`,
 * native/kept-plan.h). Only to be told: what is said here may be different a moment later.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { sanitise } from "../diagnostics/index.ts";
import { nativeProgram } from "./package-files.ts";
import { titleWidth } from "./title-width.ts";

/** Something that a kept plan rests on and that is not as it was. */
interface Change {
  readonly path: string;
  readonly what: "is there now" | "is another one, or has another owner or mode" | "was changed";
}

export type KeptState =
  | { readonly state: "used" }
  /** There is none for this command in these surroundings; this one would be kept. */
  | { readonly state: "none" }
  | { readonly state: "changed"; readonly changes: readonly Change[] }
  /** None would be, or it cannot be found out. */
  | { readonly state: "not-kept"; readonly why: string };

/** The command line of a `run`, and what only whoever starts the launcher has. */
export interface AskedRun {
  /** From Node's path on, as bin/callgate gives it to the launcher. */
  readonly commandLine: readonly string[];
  /** The process whose filter and no_new_privs count: this one, or the launcher that waits for it. */
  readonly pid: number | "self";
  readonly hasTerminal: boolean;
}

/** @param problem why the plan of this command is not kept, where it is not */
export function keptState(
  { commandLine, pid, hasTerminal }: AskedRun,
  problem: string | undefined,
): KeptState {
  if (problem !== undefined) return { state: "not-kept", why: problem };
  if (process.env["CALLGATE_FRESH"] !== undefined) return { state: "not-kept", why: "CALLGATE_FRESH is set" };
  // Node has replaced what is not UTF-8, and the launcher has not.
  if (commandLine.some((one) => one.includes("\ufffd")))
    return { state: "not-kept", why: "the command line is not UTF-8, and so it cannot be asked for here" };
  const { stdout, status } = spawnSync(
    nativeProgram("launcher"),
    ["kept", `${statusOfProcess(pid)}${hasTerminal ? 1 : 0}`, ...commandLine],
    { timeout: 30_000, stdio: ["ignore", "pipe", "ignore"] },
  );
  const said = status === 0 ? stdout.toString() : "?";
  switch (said[0]) {
    case "u":
      return { state: "used" };
    case "n":
      return { state: "none" };
    case "c":
      return { state: "changed", changes: said.slice(1).split("\0").filter(Boolean).map(changeOf) };
    default:
      return { state: "not-kept", why: "what surrounds this start cannot be found out" };
  }
}

/** The mode of seccomp, and no_new_privs: a digit each. */
function statusOfProcess(pid: AskedRun["pid"]): string {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const digit = (name: string): string => new RegExp(`^${name}:\\s*([0-9])`, "m").exec(status)?.[1] ?? "0";
  return digit("Seccomp") + digit("NoNewPrivs");
}

/** A fact that holds no more: the digit of its kind, its path. */
function changeOf(fact: string): Change {
  const path = fact.slice(1);
  switch (fact[0]) {
    case "1":
      return { path, what: "is there now" };
    case "2":
      return { path, what: "is another one, or has another owner or mode" };
    default:
      return { path, what: "was changed" };
  }
}

const mostChanges = 8;

/** In words, as the last lines of a plan. */
export function describeKept(kept: KeptState): string {
  const lines = linesOf(kept).map((line) => sanitise(line));
  return lines
    .map((line, index) => `${(index === 0 ? "kept plan" : "").padEnd(titleWidth)}${line}\n`)
    .join("");
}

function linesOf(kept: KeptState): readonly string[] {
  switch (kept.state) {
    case "used":
      return ["there is one, and run would use it: nothing that it rests on has changed"];
    case "none":
      return [
        "there is none for this program, with these options, folder, user, HOME, PATH, kernel and version of callgate: the next run keeps one",
      ];
    case "changed": {
      const more = kept.changes.length - mostChanges;
      return [
        "there is one, and run would make a new one:",
        ...kept.changes.slice(0, mostChanges).map(({ path, what }) => `${path} ${what}`),
        ...(more > 0 ? [`… and ${more} more`] : []),
      ];
    }
    case "not-kept":
      return [`run would neither use one nor keep one: ${kept.why}`];
  }
}
