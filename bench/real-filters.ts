/** The filters of others (`tests/fixtures/filters`): what comparing and telling each of them costs, in the processor's time. */
import { type Filter, filterOf, RET_ALLOW, RET_K, ret } from "../src/bpf/index.ts";
import { decompile, diff } from "../src/proof/index.ts";
import { inspectFilters } from "../src/proof/inspect.ts";
import { compareStackMembers } from "../src/proof/stack.ts";
import { realStacks } from "../tests/proof/corpus.ts";

/** Milliseconds for each. */
const goal = 1000;

/** Prints a row for each process that the filters are from; each work is done once, as a command does it. */
export function printRealFilters(): void {
  console.log(`\nfilters of others: processor time, milliseconds  goal < ${goal} each`);
  console.log(`  ${"".padEnd(20)} instructions  equal to itself  diff to one changed  inspect  decompile`);
  for (const { name, filters } of realStacks) {
    const members = filters.map((filter) => ({ filter }));
    const changed = [...filters.slice(0, -1), lastRefusalAllowed(filters)];
    const cells = [
      // In another order, so that they are not one object.
      cost(() => compareStackMembers(members, [...members, ...members].reverse())),
      cost(() => diff(filters, changed)),
      cost(() => inspectFilters(filters, "x86_64")),
      cost(() => decompile(filters, { lost: () => undefined })),
    ];
    const [equal = 0, different = 0, told = 0, written = 0] = cells;
    const size = filters.reduce((sum, { instructions }) => sum + instructions.length, 0);
    const verdict = Math.max(...cells) < goal ? "" : "  over the goal";
    console.log(
      `  ${name.padEnd(20)} ${text(size, 12)}  ${text(equal, 15)}  ${text(different, 19)}  ${text(told, 7)}  ${text(written, 9)}${verdict}`,
    );
  }
}

/** The newest filter, whose last refusal lets pass instead. */
function lastRefusalAllowed(filters: readonly Filter[]): Filter {
  const instructions = filters.at(-1)?.instructions ?? [];
  const at = instructions.findLastIndex(({ code, k }) => code === RET_K && k !== RET_ALLOW);
  return filterOf(instructions.with(at, ret(RET_ALLOW)));
}

function cost(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function text(value: number, width: number): string {
  return value.toFixed(0).padStart(width);
}
