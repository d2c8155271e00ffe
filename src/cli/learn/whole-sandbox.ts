/** The last trial of a learned policy: the program as `callgate run` starts it, with the whole sandbox around it. */
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { join } from "node:path";
import {
  type Denial,
  describeDenial,
  describeNetwork,
  isNews,
  type NetworkDenial,
} from "../../denials/index.ts";
import { sanitise } from "../../diagnostics/index.ts";
import { builtinPolicyText } from "../../formats/index.ts";
import type { Policy } from "../../policy/types.ts";
import { nativeProgram, packageRoot } from "../../sandbox/package-files.ts";
import { printError } from "../output.ts";

interface Tried {
  /** The policy's file. */
  readonly output: string;
  /** The command and its arguments. */
  readonly words: readonly string[];
  /** The descriptor that is the program's standard output. */
  readonly stdout: 1 | 2;
}

export interface TriedWhole {
  /** How the program ended; undefined where it was not started. */
  readonly end: string | undefined;
  /** What the policy has no rule for, and the program was refused. */
  readonly missing: readonly Denial[];
}

/** A line of `--report=json`. */
type Reported = (Denial & { readonly layer: "filter" }) | NetworkDenial;

/** What `run` ends with where it could not start the program as asked. */
const notStarted = 125;

/**
 * @param policy what is in the policy's file
 * @param before how the program ended when it was watched, in the words of `describeEnd`
 * @param say prints a sentence
 */
export async function tryWholeSandbox(
  { output, words: program, stdout }: Tried,
  policy: Policy,
  before: string,
  input: number | "ignore",
  say: (text: string) => void,
): Promise<TriedWhole> {
  // Who learns as root learns what root may do.
  const asRoot = process.getuid?.() === 0 ? ["--as-root"] : [];
  // A file that is called as a built-in policy is.
  const file = builtinPolicyText(output) === undefined ? output : `./${output}`;
  const options = [...asRoot, "--policy", file];
  const main = join(packageRoot(), "dist", "cli", "main.cjs");
  const report = ["--report=json", "--report-to", "3"];
  const words = ["run", process.execPath, main, ...report, ...options, "--", ...program];
  const child = spawn(nativeProgram("launcher"), words, { stdio: [input, stdout, 2, "pipe"] });
  let told = "";
  const reports = child.stdio[3];
  if (reports instanceof Socket)
    reports.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
  const end = await new Promise<string | undefined>((settle, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      if (signal !== null) settle(`killed by ${signal}`);
      else
        settle(status === notStarted && before !== `status ${notStarted}` ? undefined : `status ${status}`);
    });
  });
  const denied: readonly Reported[] = told
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  const missing = denied.filter((one) => one.layer === "filter").filter(isMissing);
  const others = denied.filter((one) => one.layer === "network" || (isNews(one) && !missing.includes(one)));
  printError(
    others
      .map((one) => (one.layer === "network" ? describeNetwork(one) : describeDenial(one, policy)))
      .join(""),
  );
  const shown = `callgate run ${options.map(sanitise).join(" ")} -- …`;
  if (end === undefined) {
    say(`not tried in the whole sandbox: ${shown} did not start it, for the reason above`);
  } else if (end === before) {
    say(`tried: ran in the whole sandbox too (${shown}): ${end}, as before`);
  } else {
    say(
      `tried: in the whole sandbox (${shown}) it ended otherwise: ${end}, before: ${before}; what was left out may be what it needs`,
    );
  }
  return { end, missing };
}

/** No rule has refused it, and one can permit it. */
function isMissing({ by, permit }: Denial): boolean {
  return (by === "default" || by === "newer") && permit !== undefined;
}
