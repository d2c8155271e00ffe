/** Sizes and paths of the filters of `bench/policies`, callgate's beside those of others. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Calls, callsOf } from "./calls.ts";
import { buildProgram, libseccompFilter, type Made, runtimeFilter } from "./others.ts";
import { type Paths, pathsOf } from "./paths.ts";
import { aims, compileText, goals, lxcWithX32, type PolicyName, policyNames, profileOf } from "./profiles.ts";

/** Every compiler's filter for each policy, with its name; filters that could not be had say why. */
export async function madeFilters(): Promise<
  ReadonlyMap<PolicyName, readonly (readonly [maker: string, made: Made])[]>
> {
  const folder = mkdtempSync(join(tmpdir(), "callgate-bench-"));
  try {
    const program = buildProgram(folder, "libseccomp", "-lseccomp");
    const all = new Map<PolicyName, readonly (readonly [string, Made])[]>();
    for (const name of policyNames) {
      const { text, profile } = profileOf(name);
      all.set(name, [
        ["libseccomp, level 1", libseccompFilter(program, profile, 1)],
        ["libseccomp, level 2", libseccompFilter(program, profile, 2)],
        ["runc", await runtimeFilter("runc", folder, profile)],
        ["crun", await runtimeFilter("crun", folder, profile)],
        ...ownFilters(name, text),
      ]);
    }
    return all;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** callgate's filters for a policy, each with its name. */
export function ownFilters(
  name: PolicyName,
  text: string,
): readonly (readonly [maker: string, made: Made])[] {
  return [
    ...aims.map((aim) => [`callgate, ${aim}`, { filter: compileText(text, aim) }] as const),
    ...(name === "lxc"
      ? [
          [
            "callgate, size",
            { filter: compileText(lxcWithX32, "size"), note: "with x32 let through, as the goal has it" },
          ] as const,
        ]
      : []),
  ];
}

const columns = ["instructions", "longest", "checked", "denied", "mix", "cached"] as const;
const nameWidth = 20;

/** Prints a table for each policy. */
export function printFilters(filters: Awaited<ReturnType<typeof madeFilters>>): void {
  console.log(
    "\nfilters on x86_64: instructions; executed instructions (the longest path; mean over calls whose",
  );
  console.log("arguments are looked at, met and missed; over refused numbers below 512; over the mix of");
  console.log("frequencies.json); numbers always allowed that the kernel's action cache holds");
  for (const [name, all] of filters) console.log(`\n${tableOf(name, all).join("\n")}`);
  console.log("\ngoals: instructions by size, mix by classic, the other columns by kernel");
}

/** The lines of a policy's table: a head, a row for each filter, the goals. */
export function tableOf(
  name: PolicyName,
  all: readonly (readonly [maker: string, made: Made])[],
): readonly string[] {
  const calls = callsOf(profileOf(name).profile);
  const { instructions, longest, checked, denied, mix } = goals[name];
  return [
    lineOf(name, columns),
    ...all.map(([maker, made]) =>
      "missing" in made
        ? `${maker.padEnd(nameWidth)}  no filter: ${made.missing}`
        : `${rowOf(maker, pathsOf(made.filter.instructions, calls), calls)}${made.note === undefined ? "" : `  ${made.note}`}`,
    ),
    lineOf("goal", [instructions, longest, checked ?? "–", denied, mix, "all"]),
  ];
}

function rowOf(maker: string, paths: Paths, calls: Calls): string {
  return lineOf(maker, [
    paths.instructions,
    paths.longest,
    Number.isNaN(paths.checked) ? "–" : paths.checked.toFixed(1),
    paths.denied.toFixed(1),
    paths.mix.toFixed(2),
    `${paths.cached}/${calls.allowed.length}`,
  ]);
}

function lineOf(name: string, cells: readonly (string | number)[]): string {
  return [name.padEnd(nameWidth), ...cells.map((cell) => String(cell).padStart(12))].join(" ");
}
