/** `callgate lxc verify`: the filters of a running container, read back from the kernel and proved. */
import { release } from "node:os";
import { hasErrors, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { describeReturn } from "../../lxc/changes.ts";
import { readConfig } from "../../lxc/config.ts";
import { type Container, initOf } from "../../lxc/container.ts";
import { readState } from "../../lxc/install.ts";
import { protectionOf } from "../../lxc/protection.ts";
import { differencesFrom, type Verification, verifyContainer } from "../../lxc/verify.ts";
import { printAction } from "../../policy/action.ts";
import type { Difference } from "../../proof/diff.ts";
import type { StackDifference } from "../../proof/index.ts";
import { syscallByNumber } from "../../syscalls/index.ts";
import { hasOption } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";
import type { LxcCommand } from "./command.ts";

export const verify: LxcCommand = ({ parsed, operands, containers }) => {
  const results = containers(operands).map((container) => verifyOne(container, hasOption(parsed, "json")));
  return Math.max(0, ...results);
};

function verifyOne(container: Container, json: boolean): number {
  const { protection, diagnostics } = protectionOf(readConfig(container.configFile), release(), {
    watched: readState(container.folder)?.watched === true,
  });
  if (protection === undefined) {
    if (hasErrors(diagnostics))
      printError(
        renderDiagnostics(
          diagnostics.filter((one) => one.severity === "error"),
          terminalOptions(2),
        ),
      );
    else printError(`callgate lxc verify: ${container.name} has no statements: there is nothing to verify\n`);
    return 2;
  }
  const init = initOf(container);
  if (init === undefined) {
    printError(`callgate lxc verify: ${container.name} does not run\n`);
    return 2;
  }
  const found = verifyContainer(init, protection);
  const differences = found.verdict === "different" ? differencesFrom(init, protection) : [];
  if (json) {
    const state = readState(container.folder);
    print(
      `${JSON.stringify({ container: container.name, init, ...found, ...(found.verdict === "different" ? { differences } : {}), installed: state?.initHash ?? null }, jsonValue)}\n`,
    );
  } else {
    describe(container, init, found, differences);
  }
  return found.verdict === "proved" ? 0 : found.verdict === "different" ? 1 : 3;
}

function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `0x${value.toString(16)}` : value;
}

/** More differences than that are counted only; --json has all. */
const mostTold = 20;

function describe(
  container: Container,
  init: number,
  found: Verification,
  differences: readonly Difference[],
): void {
  const { name, folder } = container;
  switch (found.verdict) {
    case "proved": {
      const further = found.processes.filter(
        ({ finding }) => finding.kind === "as-init" && finding.further > 0,
      ).length;
      print(
        `${name}: proved: init (${init}) has ${found.instructions.length} filters, ${found.instructions.join(" + ")} instructions, which decide every call as the policy does\n`,
      );
      print(
        `${found.processes.length} processes have all of them${further === 0 ? "" : `, ${further} of them more of their own`}\n`,
      );
      return;
    }
    case "not-verified":
      print(`${name}: not verified: ${found.reason}\n`);
      if (found.filters !== undefined) print(`init (${init}) has ${found.filters} filters\n`);
      print(`what was installed has the hash ${readState(folder)?.initHash ?? "(unknown)"}\n`);
      return;
    case "different":
      print(`${name}: different: ${found.reason}\n`);
      if (differences.length === 0 && found.witness !== undefined)
        print(`  ${describeWitness(found.witness)}\n`);
      for (const one of differences.slice(0, mostTold)) print(`  ${describeDifference(one)}\n`);
      if (differences.length > mostTold)
        print(`  and ${differences.length - mostTold} more: --json has all of them\n`);
      for (const { pid, command, finding } of found.processes) {
        if (finding.kind === "as-init") continue;
        const why = {
          "profile-only": "has LXC's profile only: it came by lxc-attach, not by callgate lxc attach",
          unfiltered: "has no filter at all",
          different: "is under other filters than init",
          "not-verified": "could not be read",
        }[finding.kind];
        print(`  ${pid} ${command} ${why}\n`);
      }
      print("if the configuration was changed since the start, restart the container\n");
  }
}

function describeDifference({
  abi,
  syscall,
  numbers,
  condition,
  before,
  after,
  witness,
}: Difference): string {
  const range = numbers.from === numbers.to ? `#${numbers.from}` : `#${numbers.from} to #${numbers.to}`;
  const call = abi === undefined ? "another architecture" : `${abi} ${syscall ?? range}`;
  const when = condition === undefined ? "" : ` where ${condition}, e.g. ${witness.call}`;
  return sanitise(
    `${call}${when}: the kernel has ${printAction(after)}, the policy says ${printAction(before)}`,
  );
}

function describeWitness({ abi, nr, args, first, second }: StackDifference): string {
  const call = abi === undefined ? undefined : syscallByNumber(abi, nr);
  const of = { abi: abi ?? "x86_64" };
  return `${abi ?? "another architecture"} ${call?.name ?? `#${nr}`}(${args.map((one) => `0x${one.toString(16)}`).join(", ")}): the kernel has ${describeReturn(first, of)}, the policy says ${describeReturn(second, of)}`;
}
