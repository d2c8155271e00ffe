// The filters of others, as they were read back from live processes: tests/fixtures/filters/README.md says how.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Filter, readFilter } from "../../src/bpf/index.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "tests", "fixtures", "filters");

/** What one process has: its filters, the oldest first. */
export interface RealStack {
  readonly name: string;
  readonly filters: readonly Filter[];
}

export function filterNamed(name: string): Filter {
  return readFilter(readFileSync(join(folder, `${name}.bpf`)));
}

/** Filters in a row, each behind the number of its instructions. */
function stackNamed(name: string): readonly Filter[] {
  const bytes = readFileSync(join(folder, `${name}.stack`));
  const filters: Filter[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at) * 8;
    filters.push(readFilter(bytes.subarray(at + 4, end)));
    at = end;
  }
  return filters;
}

const named = (extension: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(extension))
    .map((name) => name.slice(0, -extension.length))
    .sort();

export const realStacks: readonly RealStack[] = [
  ...named(".bpf").map((name) => ({ name, filters: [filterNamed(name)] })),
  { name: "firejail", filters: [filterNamed("firejail-1"), filterNamed("firejail-2")] },
  ...named(".stack").map((name) => ({ name, filters: stackNamed(name) })),
];
