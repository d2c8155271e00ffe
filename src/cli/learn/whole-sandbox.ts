/** The last trial of a learned policy: the program as `callgate run` starts it, with the whole sandbox around it. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { sanitise } from "../../diagnostics/index.ts";
import { builtinPolicyText } from "../../formats/index.ts";
import { nativeProgram, packageRoot } from "../../sandbox/package-files.ts";

interface Tried {
  /** The policy's file. */
  readonly output: string;
  /** The command and its arguments. */
  readonly words: readonly string[];
  /** The descriptor that is the program's standard output. */
  readonly stdout: 1 | 2;
}

/** What `run` ends with where it could not start the program as asked. */
const notStarted = 125;

/**
 * @param before how the program ended when it was watched, in the words of `describeEnd`
 * @param say prints a sentence
 * @returns how the program ended; undefined where it was not started
 */
export async function tryWholeSandbox(
  { output, words, stdout }: Tried,
  before: string,
  input: number | "ignore",
  say: (text: string) => void,
): Promise<string | undefined> {
  // Who learns as root learns what root may do.
  const asRoot = process.getuid?.() === 0 ? ["--as-root"] : [];
  // A file that is called as a built-in policy is.
  const policy = builtinPolicyText(output) === undefined ? output : `./${output}`;
  const command = ["run", ...asRoot, "--policy", policy, "--", ...words];
  const main = join(packageRoot(), "dist", "cli", "main.cjs");
  const child = spawn(nativeProgram("launcher"), ["run", process.execPath, main, ...command.slice(1)], {
    stdio: [input, stdout, 2],
  });
  const end = await new Promise<string | undefined>((settle, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      if (signal !== null) settle(`killed by ${signal}`);
      else
        settle(status === notStarted && before !== `status ${notStarted}` ? undefined : `status ${status}`);
    });
  });
  const shown = `callgate ${command.slice(0, -words.length).map(sanitise).join(" ")} …`;
  if (end === undefined) {
    say(`not tried in the whole sandbox: ${shown} did not start it, for the reason above`);
  } else if (end === before) {
    say(`tried: ran in the whole sandbox too (${shown}): ${end}, as before`);
  } else {
    say(
      `tried: in the whole sandbox (${shown}) it ended otherwise: ${end}, before: ${before}; what was left out may be what it needs`,
    );
  }
  return end;
}
