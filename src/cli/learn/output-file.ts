/** The file that learning writes: looked at before the program runs, since a run is not to be in vain. */
import { accessSync, closeSync, constants, existsSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { hasErrors, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import { readFound, readText } from "../../formats/load.ts";
import type { Policy } from "../../policy/types.ts";
import { printError, terminalOptions } from "../output.ts";
import { rewritePolicy } from "../rewrite-policy.ts";
import { whyItFailed } from "../unwritable.ts";

/** The text of the policy that is there and will be extended; empty where there is none, or it is to be replaced. */
export function prepareOutput(path: string, force: boolean): string | { readonly problem: string } {
  const shown = sanitise(JSON.stringify(path));
  if (path === "-") return { problem: "the policy is written to a file: -o FILE" };
  try {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status === undefined) {
      accessSync(dirname(resolve(path)), constants.W_OK | constants.X_OK);
      return "";
    }
    if (!status.isFile()) return { problem: `cannot write ${shown}: it is not a file` };
    accessSync(path, constants.W_OK);
    accessSync(dirname(resolve(path)), constants.W_OK | constants.X_OK);
  } catch (error) {
    return { problem: `cannot write ${shown}: ${whyItFailed(error)}` };
  }
  if (force) return "";
  const found = readText(path);
  if (typeof found === "string") return { problem: `cannot read ${shown}, which is there already: ${found}` };
  return found.text;
}

/**
 * The policy in such a text, to be extended; undefined, with its mistakes printed, where it has any.
 * @param fail prints a sentence
 */
export function policyToExtend(name: string, text: string, fail: (text: string) => void): Policy | undefined {
  const { policy, diagnostics } = readFound({ filename: name, text });
  if (policy !== undefined && !hasErrors(diagnostics)) return policy;
  printError(renderDiagnostics(diagnostics, terminalOptions(2)));
  fail(`${sanitise(name)} is no policy without mistakes, and cannot be extended: --force begins anew`);
  return undefined;
}

/** What stands in the file now, where that is something else: somebody has edited it while the program ran. */
export function editedText(path: string, text: string): string | undefined {
  const found = readText(path);
  return typeof found === "string" || found.text === text ? undefined : found.text;
}

/** @returns why it could not be done; undefined when it was */
export function writeOutput(path: string, text: string): string | undefined {
  if (existsSync(path)) {
    const failure = rewritePolicy(path, text);
    return failure === undefined ? undefined : `cannot write ${sanitise(JSON.stringify(path))}: ${failure}`;
  }
  try {
    // Exclusively: what came there meanwhile is not ours to replace.
    const descriptor = openSync(path, "wx", 0o644);
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(descriptor);
    }
    return undefined;
  } catch (error) {
    return `cannot write ${sanitise(JSON.stringify(path))}: ${whyItFailed(error)}`;
  }
}
