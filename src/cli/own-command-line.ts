/** The command line as bin/callgate gave it to a native program, of which kept plans and jobs are a matter. */
import { accessSync, constants, readFileSync, statSync } from "node:fs";

/** What stands in a file of the kernel's, each with a NUL byte behind it. */
export function stringsOf(file: string): readonly Buffer[] {
  const strings: Buffer[] = [];
  const whole = readFileSync(file);
  for (let start = 0; start < whole.length; ) {
    const end = whole.indexOf(0, start);
    strings.push(whole.subarray(start, end === -1 ? whole.length : end));
    start = end === -1 ? whole.length : end + 1;
  }
  return strings;
}

/** As bin/callgate finds it. What is there may be a script that finds the Node which runs this. */
export function nodeInPath(): string | undefined {
  return (process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin")
    .split(":")
    .map((folder) => `${folder === "" ? "." : folder}/node`)
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}
