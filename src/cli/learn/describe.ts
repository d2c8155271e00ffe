/** What learning tells of a run, for people. */
import { constants } from "node:os";
import { sanitise } from "../../diagnostics/index.ts";
import {
  type FileUse,
  type LearnedGrants,
  type Observation,
  type SeenCall,
  servingFrom,
} from "../../learn/index.ts";
import type { WatchedRun } from "../../sandbox/watch.ts";
import { syscallByNumber } from "../../syscalls/index.ts";

/** How the program ended. */
export function describeEnd({ observation: { status, execError }, interruptedBy }: WatchedRun): string {
  if (execError !== 0) {
    const name = Object.entries(constants.errno).find(([, number]) => number === execError)?.[0];
    return name ?? `error ${execError}`;
  }
  if (interruptedBy !== undefined) return `learning was ended by ${interruptedBy}`;
  if (status === undefined) return "how it ended is not known";
  const signal = status & 0x7f;
  if (signal === 0) return `status ${(status >> 8) & 0xff}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return `killed by ${name ?? `signal ${signal}`}`;
}

/** @param runs how many runs it were: words */
export function describeNothingNew(
  { output, command }: { readonly output: string; readonly command: string },
  end: string,
  runs: string,
): string {
  return `nothing new: ${sanitise(output)} permits the calls that ${sanitise(command)} made (${end}); ${runs} brought nothing new`;
}

const shownPaths = 12;

/** Files and addresses; what has none is left out. */
export function describeUse(files: FileUse, addresses: readonly string[]): string {
  const lines = [
    list("reads", files.read),
    list("writes", files.write),
    list("starts", files.programs),
    list("secrets", files.secrets, "keys or passwords: think before you grant them"),
    list("volatile", files.volatile, "in folders for temporary files: many have other names in the next run"),
    list("network", addresses),
  ].flat();
  return lines.map((line) => `${line}\n`).join("");
}

/** What of them the policy grants, and what it does not. */
export function describeGrants({ read, write, network, left, exposed }: LearnedGrants): string {
  const ports = network === "host" ? ["the machine's network"] : (network ?? []).map((port) => `TCP ${port}`);
  const granted = [
    ...read.map((path) => `${path} (read)`),
    ...write.map((path) => `${path} (write)`),
    ...ports,
  ];
  const lines = [
    ...list("granted", granted),
    ...list("with them", exposed, "keys or passwords in folders that are granted: move them, or grant less"),
    ...left
      .slice(0, shownPaths)
      .map(({ path, why }) => `  ${"left out".padEnd(9)} ${sanitise(path)}: ${why}`),
    ...(left.length > shownPaths ? [`  left out  and ${left.length - shownPaths} more`] : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function list(title: string, paths: readonly string[], remark?: string): readonly string[] {
  if (paths.length === 0) return [];
  const shown = paths.slice(0, shownPaths).map(sanitise);
  const rest = paths.length - shown.length;
  const text = `${shown.join(", ")}${rest > 0 ? `, and ${rest} more` : ""}`;
  return [`  ${title.padEnd(9)} ${text}${remark === undefined ? "" : `  (${remark})`}`];
}

/** What a server needs no more when it serves; undefined for a program that does not listen. */
export function droppableCalls(observation: Observation): readonly string[] | undefined {
  const boundary = servingFrom(observation);
  if (boundary === undefined) return undefined;
  const names = (calls: readonly SeenCall[]): ReadonlySet<string> => new Set(calls.map(nameOf));
  const later = names(observation.calls.filter(({ last }) => last >= boundary));
  return [...names(observation.calls)].filter((name) => !later.has(name)).sort();
}

function nameOf(call: SeenCall): string {
  return syscallByNumber(call.abi, call.nr)?.name ?? `#${call.nr}`;
}

/** The same for people. */
export function describePhases(observation: Observation): string {
  const droppable = droppableCalls(observation);
  if (droppable === undefined)
    return "  phases    the program did not listen for anybody: it has no start-up that ends\n";
  return droppable.length === 0
    ? "  phases    all that was seen before the first listen was seen after it too\n"
    : `  phases    not seen after the first listen, could be dropped then: ${droppable.join(", ")}\n`;
}
