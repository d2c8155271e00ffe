/** `callgate lxc status`: every container, what it is under, and whether that was proved. */
import { release } from "node:os";
import { hasErrors } from "../../diagnostics/index.ts";
import { hasBlock } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { type Container, containersIn, initOf } from "../../lxc/container.ts";
import { describeStatements } from "../../lxc/install.ts";
import { protectionOf } from "../../lxc/protection.ts";
import { countFilters, verifyContainer } from "../../lxc/verify.ts";
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
}

export const status: LxcCommand = ({ parsed, operands, containers, lxcpath }) => {
  const wanted = operands.length === 0 ? containersIn(lxcpath()) : containers(operands);
  const all = wanted.map(statusOf);
  if (hasOption(parsed, "json")) {
    print(`${JSON.stringify(all)}\n`);
    return 0;
  }
  if (all.length === 0) {
    print(`there are no containers in ${lxcpath()}\n`);
    return 0;
  }
  const rows = [
    ["NAME", "STATE", "POLICY", "PROVED", "FILTER"],
    ...all.map((one) => [one.name, one.state, one.policy, one.proved, one.filter]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    print(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    );
  return 0;
};

function statusOf(container: Container): ContainerStatus {
  const { name } = container;
  const config = readConfig(container.configFile);
  const init = initOf(container);
  const state = init === undefined ? "stopped" : "running";
  const filters = init === undefined ? undefined : countFilters(init);
  if (!hasBlock(config.source.text)) {
    return {
      name,
      state,
      policy: "none",
      proved: "–",
      filter: filters === undefined ? "–" : `${filters} filters`,
    };
  }
  const { protection, statements, diagnostics } = protectionOf(config, release());
  if (protection === undefined || hasErrors(diagnostics))
    return { name, state, policy: "has mistakes (callgate lxc check)", proved: "no", filter: "–" };
  const policy = describeStatements(statements);
  if (init === undefined) return { name, state, policy, proved: "–", filter: "–" };
  const found = verifyContainer(init, protection);
  if (found.verdict === "not-verified")
    return { name, state, policy, proved: "not verified", filter: `${found.filters ?? "?"} filters` };
  return {
    name,
    state,
    policy,
    proved: found.verdict === "proved" ? "yes" : "no",
    filter: found.instructions.join(" + "),
  };
}
