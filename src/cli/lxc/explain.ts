/** `callgate lxc explain NAME CALL`: what the container's statements, and the profile below them, say of a call. */
import { release } from "node:os";
import { hasErrors, renderDiagnostics } from "../../diagnostics/index.ts";
import { readConfig } from "../../lxc/config.ts";
import { protectionOf } from "../../lxc/protection.ts";
import { hasOption, UsageError } from "../arguments.ts";
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
  const { protection, statements, diagnostics } = protectionOf(readConfig(container.configFile), release());
  if (hasErrors(diagnostics) || (protection === undefined && statements.lines.length > 0)) {
    printError(
      renderDiagnostics(
        diagnostics.filter((one) => one.severity === "error"),
        terminalOptions(2),
      ),
    );
    return 2;
  }
  if (protection === undefined) {
    print(`${container.name} has no statements\n`);
    return 0;
  }
  const { policy, floor } = protection;
  const status = explainCall(parsed, policy, call, { layer: "statements" });
  if (status !== 0 || floor === undefined) return status;
  if (!hasOption(parsed, "json"))
    print(`\nthe profile below it, ${floor.file}, whose answer counts where it is stricter:\n`);
  return explainCall(parsed, floor.policy, call, { layer: "profile" });
};
