/** What filters cost in the real kernel: to install them, and by the call. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode, instruction, RET_ALLOW, RET_K } from "../src/bpf/index.ts";
import { buildProgram, type Made } from "./others.ts";
import type { PolicyName } from "./profiles.ts";

type Filters = ReadonlyMap<PolicyName, readonly (readonly [maker: string, made: Made])[]>;

const installRounds = 200;
const callRounds = 30;
/** Times that differ by less than this share are not told apart on a machine that does other things. */
const tie = 0.05;

/** Prints how long the kernel takes to install each filter of docker3. */
export function printInstalls(filters: Filters): void {
  const named = loadable(filters, ["docker3"]);
  console.log(
    `\ninstalling a filter in the kernel: docker3, ${installRounds} fresh processes each, microseconds`,
  );
  const times = measured("install", installRounds, named);
  if (times === undefined) return;
  const base = times[named.findIndex(({ name }) => name.endsWith("libseccomp, level 2"))]?.[1];
  for (const [index, { name }] of named.entries()) {
    const [least = Number.NaN, median = Number.NaN] = times[index] ?? [];
    const ratio = base === undefined ? "" : `${(median / base).toFixed(2)}× of libseccomp's tree`;
    const goal = name.endsWith("callgate, kernel") ? "  goal ≤ 0.5×" : "";
    console.log(
      `  ${name.padEnd(34)} least ${inMicroseconds(least)}  median ${inMicroseconds(median)}  ${ratio}${goal}`,
    );
  }
}

/** Prints what a call costs: one that the kernel's cache holds, one whose argument is looked at, one that is refused. */
export function printCalls(filters: Filters): void {
  const named = [
    { name: "no filter", instructions: undefined },
    { name: "one instruction, ALLOW", instructions: encode([instruction(RET_K, RET_ALLOW)]) },
    ...loadable(filters, ["docker", "docker3"]),
  ];
  console.log(`\na call in the kernel: nanoseconds, least and median of ${callRounds} fresh processes each`);
  const titles = ["getpid (cached)", "personality (checked)", "number 500 (denied)"];
  console.log(`  ${"".padEnd(34)} ${titles.map((title) => title.padStart(23)).join("")}`);
  const times = measured("calls", callRounds, named);
  if (times === undefined) return;
  for (const [index, { name }] of named.entries()) {
    const row = times[index] ?? [];
    const cells = titles.map((_, kind) =>
      `${(row[2 * kind] ?? Number.NaN).toFixed(0)}  ${(row[2 * kind + 1] ?? Number.NaN).toFixed(0)}`.padStart(
        23,
      ),
    );
    console.log(`  ${name.padEnd(34)} ${cells.join("")}`);
  }
  for (const policy of ["docker", "docker3"]) {
    const at = (maker: string): readonly number[] | undefined =>
      times[named.findIndex(({ name }) => name === `${policy}, ${maker}`)];
    const [own, tree] = [at("callgate, kernel"), at("libseccomp, level 2")];
    if (own === undefined || tree === undefined) continue;
    const verdicts = titles.map((title, kind) => `${title}: ${verdict(own[2 * kind], tree[2 * kind])}`);
    console.log(`  ${policy}, callgate beside libseccomp's tree, by the least: ${verdicts.join("; ")}`);
  }
}

function verdict(own = Number.NaN, other = Number.NaN): string {
  const difference = own / other - 1;
  if (Math.abs(difference) < tie) return "a tie";
  return `${(Math.abs(difference) * 100).toFixed(0)} % ${difference < 0 ? "less" : "more"}`;
}

function inMicroseconds(nanoseconds: number): string {
  return (nanoseconds / 1000).toFixed(0).padStart(5);
}

interface Named {
  readonly name: string;
  /** Undefined for no filter at all. */
  readonly instructions: Uint8Array | undefined;
}

function loadable(filters: Filters, policies: readonly PolicyName[]): readonly Named[] {
  return policies.flatMap((policy) =>
    (filters.get(policy) ?? []).flatMap(([maker, made]) =>
      "missing" in made ? [] : [{ name: `${policy}, ${maker}`, instructions: made.filter.bytes }],
    ),
  );
}

/** The numbers that the program prints for each filter; undefined where it could not measure, and then it is said. */
function measured(
  what: "install" | "calls",
  rounds: number,
  filters: readonly Named[],
): readonly (readonly number[])[] | undefined {
  const folder = mkdtempSync(join(tmpdir(), "callgate-bench-"));
  try {
    const program = buildProgram(folder, "kernel");
    if (program === undefined) return say("needs gcc");
    const paths = filters.map(({ instructions }, index) => {
      if (instructions === undefined) return "-";
      const path = join(folder, `${index}.bpf`);
      writeFileSync(path, instructions);
      return path;
    });
    const { status, stdout, stderr } = spawnSync(program, [what, String(rounds), ...paths], {
      encoding: "utf8",
    });
    if (status !== 0) return say(`not measured: ${stderr.trim()}`);
    return stdout
      .trim()
      .split("\n")
      .map((line) => line.trim().split(" ").map(Number));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function say(sentence: string): undefined {
  console.log(`  ${sentence}`);
}
