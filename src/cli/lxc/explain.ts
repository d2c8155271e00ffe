/** `callgate lxc explain NAME CALL`: what a call gets in a container from its next start on, and by which line. */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { type Diagnostic, hasErrors, renderDiagnostics } from "../../diagnostics/index.ts";
import { warningsAbout } from "../../formats/lxc-profile/warnings-about.ts";
import { hasBlock, hasDefaultBlock } from "../../lxc/block.ts";
import { type ContainerConfig, lastValue, readConfig } from "../../lxc/config.ts";
import type { Container } from "../../lxc/container.ts";
import { protectionOf, readProfile } from "../../lxc/protection.ts";
import { keysThatStopLxc } from "../../lxc/statements.ts";
import { wiringProblems } from "../../lxc/wiring.ts";
import type { Policy } from "../../policy/types.ts";
import { newestVersion } from "../../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { explainCall } from "../commands/explain.ts";
import { print, printError, terminalOptions } from "../output.ts";
import type { LxcCommand } from "./command.ts";

export const explain: LxcCommand = ({ parsed, operands, containers }) => {
  const call = operands.at(-1);
  if (call === undefined)
    throw new UsageError("lxc explain takes a container and a call: callgate lxc explain NAME CALL");
  const [container, ...more] = containers(operands.slice(0, -1));
  if (container === undefined || more.length > 0)
    throw new UsageError("lxc explain takes one container and a call in quotes");
  const config = readConfig(container.configFile);
  return hasBlock(config.source.text)
    ? explainProtected(parsed, container, config, call)
    : explainPlain(parsed, container, config, call);
};

/** One that callgate protects: its statements, and the profile that stays in force below them. */
function explainProtected(
  parsed: ParsedArguments,
  container: Container,
  config: ContainerConfig,
  call: string,
): number {
  const { protection, diagnostics } = protectionOf(config, release());
  // New containers have their own lines from their first start on.
  const wiring = hasDefaultBlock(config.source.text) ? [] : wiringProblems(config, container.folder);
  const found = [...diagnostics, ...wiring];
  if (protection === undefined || hasErrors(found)) return notStarted(container, found);
  printWarnings(call, found);
  const { policy, floor } = protection;
  const status = explainCall(parsed, policy, call, { layer: "statements" });
  if (status !== 0 || floor === undefined) return status;
  if (!hasOption(parsed, "json"))
    print(`\nthe profile below it, ${floor.file}, whose answer counts where it is stricter:\n`);
  return explainCall(parsed, floor.policy, call, { layer: "profile" });
}

/** One that it does not: LXC passes statements over, and does what its own profile says, as far as it does that. */
function explainPlain(
  parsed: ParsedArguments,
  container: Container,
  { lines, diagnostics: unread }: ContainerConfig,
  call: string,
): number {
  const found: Diagnostic[] = [...unread, ...keysThatStopLxc({ lines })];
  const file = lastValue(lines, "lxc.seccomp.profile")?.value;
  const profile = file === undefined ? undefined : readProfile(file, found);
  if (hasErrors(found)) return notStarted(container, found);
  const isLeftOut = profile !== undefined && leavesProfileOut(lines);
  const count = lines.filter(({ key }) => key.startsWith("syscall.")).length;
  const does = isLeftOut
    ? `a container that is started from here gets no filter from LXC: this process has one already, and lxc.seccomp.allow_nesting is not 1`
    : profile === undefined
      ? "LXC gives it no filter"
      : `LXC does what its profile says, ${profile.file}`;
  const passed =
    count === 0 ? "" : `; LXC passes over ${count === 1 ? "its statement" : `its ${count} statements`}`;
  const said = `${container.name} is not enabled: ${does}${passed}\n`;
  if (hasOption(parsed, "json")) printError(said);
  else print(`${said}\n`);
  if (profile === undefined || isLeftOut) return explainCall(parsed, nothing, call, { layer: "none" });
  printWarnings(call, found);
  return explainCall(parsed, profile.policy, call, { layer: "profile" });
}

/** LXC loads no profile where it runs under a filter itself, unless it is told to. */
function leavesProfileOut(lines: ContainerConfig["lines"]): boolean {
  if (lastValue(lines, "lxc.seccomp.allow_nesting")?.value === "1") return false;
  return /^Seccomp:\s*[12]$/m.test(readFileSync("/proc/self/status", "utf8"));
}

/** What no filter at all decides. */
const nothing: Policy = {
  version: 1,
  syscalls: {
    default: { kind: "allow" },
    baseline: newestVersion,
    newer: { kind: "allow" },
    abis: ["all"],
    otherAbis: { kind: "allow" },
    multiplexed: "open",
    require: [],
    rules: [],
  },
};

function notStarted(container: Container, diagnostics: readonly Diagnostic[]): number {
  printError(
    renderDiagnostics(
      diagnostics.filter((one) => one.severity === "error"),
      terminalOptions(2),
    ),
  );
  printError(`callgate lxc explain: ${container.name} does not start, and makes no call\n`);
  return 2;
}

function printWarnings(call: string, diagnostics: readonly Diagnostic[]): void {
  printError(renderDiagnostics(warningsAbout(call, diagnostics), terminalOptions(2)));
}
