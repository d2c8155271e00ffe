/** `callgate lxc check`: a container's statements, its profile, and whether LXC will enforce them. */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import {
  applyFixes,
  type Diagnostic,
  diagnosticsToJson,
  hasErrors,
  renderDiagnostics,
} from "../../diagnostics/index.ts";
import { counted, countedMistakes } from "../../diagnostics/words.ts";
import { hasBlock, hasDefaultBlock } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import type { Container } from "../../lxc/container.ts";
import { protectionOf } from "../../lxc/protection.ts";
import { wiringProblems } from "../../lxc/wiring.ts";
import { hasOption } from "../arguments.ts";
import { print, terminalOptions } from "../output.ts";
import { replaceFile } from "../replace-file.ts";
import type { LxcCommand } from "./command.ts";

export const check: LxcCommand = ({ parsed, operands, containers }) => {
  const isFixing = hasOption(parsed, "fix");
  const diagnostics = containers(operands).flatMap((container) => {
    const found = checkOne(container);
    return isFixing ? fixed(container, found) : found;
  });
  const errors = diagnostics.filter((one) => one.severity === "error").length;
  const warnings = diagnostics.filter((one) => one.severity === "warning").length;
  if (hasOption(parsed, "json")) {
    print(
      `${JSON.stringify({ ok: errors === 0, errors, warnings, diagnostics: diagnosticsToJson(diagnostics) }, null, 2)}\n`,
    );
  } else {
    print(renderDiagnostics(diagnostics, terminalOptions(1)));
    print(`${countedMistakes(errors, warnings) || "no mistakes found"}\n`);
  }
  return diagnostics.some((one) => one.id === "unreadable") ? 2 : errors > 0 ? 1 : 0;
};

/** Everything that there is to say of a container's configuration. */
function checkOne(container: Container): readonly Diagnostic[] {
  const config = readConfig(container.configFile);
  const { diagnostics, statements, protection } = protectionOf(config, release());
  const isEnabled = hasBlock(config.source.text) && !hasDefaultBlock(config.source.text);
  const found = [
    // The baseline that is missing until then is written by `enable`.
    ...diagnostics.filter((one) => isEnabled || one.id !== "missing-baseline"),
    ...(isEnabled ? wiringProblems(config, container.folder) : []),
  ];
  const [first] = statements.lines;
  if (!isEnabled && first !== undefined)
    found.push({
      id: "not-enabled",
      severity: "warning",
      message: `nothing enforces the statements of ${container.name}: LXC passes them over`,
      span: first.keySpan,
      label: `callgate lxc enable ${container.name}`,
    });
  const beyond = new Map<string, string[]>();
  for (const { syscall, message } of isEnabled ? (protection?.beyondProfile ?? []) : [])
    if (syscall !== undefined) beyond.set(message, [...(beyond.get(message) ?? []), syscall]);
  for (const [message, calls] of beyond)
    found.push({
      id: "beyond-profile",
      severity: "note",
      message: `plain lxc-attach is not kept from ${calls.join(", ")}, the container and callgate lxc attach are: ${message}`,
    });
  return found;
}

/** Carries out the fixes in the container's own file; one that brings new errors is not kept. */
function fixed(container: Container, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const text = readFileSync(container.configFile, "utf8");
  const result = applyFixes(diagnostics, { name: container.configFile, text });
  if (result.applied.length === 0) return diagnostics;
  const failure = replaceFile(container.configFile, result.text);
  if (failure !== undefined) {
    const message = `cannot write ${JSON.stringify(container.configFile)}: ${failure}`;
    return [...diagnostics, { id: "unwritable", severity: "error", message }];
  }
  const again = checkOne(container);
  const isWorse = (list: readonly Diagnostic[]): number =>
    list.filter((one) => one.severity === "error").length;
  if (hasErrors(again) && isWorse(again) > isWorse(diagnostics)) {
    replaceFile(container.configFile, text);
    return diagnostics;
  }
  print(`${container.configFile}: ${counted(result.applied.length, "fix", "fixes")} made\n`);
  return again;
}
