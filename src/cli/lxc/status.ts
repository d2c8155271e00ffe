/** `callgate lxc status`: every container, what it is under, whether that was proved, and what it was refused. */
import { release } from "node:os";
import { hasErrors } from "../../diagnostics/index.ts";
import { hasBlock } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { type Container, containersIn, initOf, noneIn } from "../../lxc/container.ts";
import { type DenialCounts, readDenials } from "../../lxc/denials-file.ts";
import { describeStatements, readState } from "../../lxc/install.ts";
import { protectionOf } from "../../lxc/protection.ts";
import { countFilters, verifyContainer } from "../../lxc/verify.ts";
import { hasWatcher } from "../../lxc/watcher.ts";
import { wiringProblems } from "../../lxc/wiring.ts";
import { hasOption } from "../arguments.ts";
import { print } from "../output.ts";
import type { LxcCommand } from "./command.ts";

interface ContainerStatus {
  readonly name: string;
  readonly state: "running" | "stopped";
  readonly policy: string;
  readonly proved: "yes" | "no" | "not verified" | "–";
  /** Instructions of the filters that init has, or their number where they cannot be read. */
  readonly filter: string;
  /** Whether its refusals are seen: decided at its start. `gone`: it was, and its watcher is not there any more. */
  readonly watched: "yes" | "no" | "gone";
  /** What its watcher has counted since its start; null where nobody has. */
  readonly denied: DenialCounts | null;
  /** Calls whose refusals a watcher does not see, though other refusals it does; none where it is not watched. */
  readonly unseen: readonly string[];
}

export const status: LxcCommand = async ({ parsed, operands, containers, lxcpath }) => {
  const wanted = operands.length === 0 ? containersIn(lxcpath()) : containers(operands);
  const all: ContainerStatus[] = [];
  for (const container of wanted) all.push(await statusOf(container));
  if (hasOption(parsed, "json")) {
    print(`${JSON.stringify(all)}\n`);
    return 0;
  }
  if (all.length === 0) {
    print(`${noneIn(lxcpath())}\n`);
    return 0;
  }
  const rows = [
    ["NAME", "STATE", "POLICY", "PROVED", "FILTER", "DENIED"],
    ...all.map((one) => [one.name, one.state, one.policy, one.proved, one.filter, shownDenials(one)]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    print(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    );
  for (const one of all) print(notesOf(one));
  return 0;
};

/** The total, and the calls that most of them were. */
function shownDenials({ denied }: ContainerStatus): string {
  if (denied === null) return "–";
  const most = denied.calls.slice(0, 3).map(({ syscall, count }) => `${syscall} ×${count}`);
  const more = denied.calls.length > most.length ? ", …" : "";
  return most.length === 0 ? `${denied.total}` : `${denied.total}  ${most.join(", ")}${more}`;
}

function notesOf({ name, watched, unseen }: ContainerStatus): string {
  if (watched === "no") return "";
  const gone =
    watched === "gone"
      ? `${name}: its watcher is gone: what it is refused gets ENOSYS and is not counted, until callgate lxc watch ${name} is there again\n`
      : "";
  const others = unseen.length === 0 ? "" : `, and of ${unseen.join(", ")}`;
  return `${gone}${name}: not seen are refusals by ENOSYS, by kill, by the profile below the statements, of what came in by callgate lxc attach${others}\n`;
}

/** What there is to say of one that does not run, or is not protected. */
const nothingSeen = { watched: "no", denied: null, unseen: [] } as const;

async function statusOf(container: Container): Promise<ContainerStatus> {
  const { name, folder } = container;
  const config = readConfig(container.configFile);
  const init = initOf(container);
  const state = init === undefined ? "stopped" : "running";
  const filters = init === undefined ? undefined : countFilters(init);
  if (!hasBlock(config.source.text)) {
    const filter = filters === undefined ? "–" : `${filters} filters`;
    return { name, state, policy: "none", proved: "–", filter, ...nothingSeen };
  }
  const watched = readState(folder)?.watched === true;
  const { protection, statements, diagnostics } = protectionOf(config, release(), { watched });
  if (protection === undefined || hasErrors(diagnostics)) {
    const policy = "has mistakes (callgate lxc check)";
    return { name, state, policy, proved: "no", filter: "–", ...nothingSeen };
  }
  const policy = describeStatements(statements);
  if (init === undefined) {
    const starts = wiringProblems(config, folder).length === 0;
    const shown = starts ? policy : `${policy}, cannot start (callgate lxc check)`;
    return { name, state, policy: shown, proved: "–", filter: "–", ...nothingSeen };
  }
  const seen = watched
    ? ({
        watched: (await hasWatcher(folder)) ? "yes" : "gone",
        denied: readDenials(folder) ?? { total: 0, calls: [] },
        unseen: protection.unseen,
      } as const)
    : nothingSeen;
  const found = verifyContainer(init, protection);
  if (found.verdict === "not-verified")
    return {
      name,
      state,
      policy,
      proved: "not verified",
      filter: `${found.filters ?? "?"} filters`,
      ...seen,
    };
  return {
    name,
    state,
    policy,
    proved: found.verdict === "proved" ? "yes" : "no",
    filter: found.instructions.join(" + "),
    ...seen,
  };
}
