// Builds the native programs: `npm run build:native`, and as a part of the whole build (`npm ci`).
// gcc is all they need, not even a C library. Where it or Linux is missing, the build goes on without them: most
// of callgate works everywhere, and one sentence says what does not.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const native = join(dirname(fileURLToPath(import.meta.url)), "..", "native");
const programs = ["launcher", "probe", "tracer", "watcher", "doctor", "hook", "proxy"];

const flags = [
  ..."-std=c11 -Os -ffreestanding -fPIE -static-pie -nostdlib -nostartfiles".split(" "),
  ..."-Wall -Wextra -Wconversion -Wstrict-prototypes -Werror".split(" "),
  // What these would guard or unwind needs a C library.
  ..."-fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-builtin".split(" "),
  // Code and constants in one segment: fewer mappings and page faults at every start.
  "-Wl,-z,noseparate-code",
  // Neither paths nor times nor random names: two builds give the same bytes.
  `-ffile-prefix-map=${native}=.`,
  "-frandom-seed=callgate",
  // Nothing is relocated (`build` makes sure), so there is nothing to make read-only after it.
  "-Wl,--build-id=none,--hash-style=gnu,-z,noexecstack,-z,norelro,-z,text,--fatal-warnings",
  "-s",
];

/** The compiler's output, or undefined when it cannot be started or fails. */
function output(command, args) {
  const result = spawnSync(command, args, { cwd: native, encoding: "utf8" });
  return result.status === 0 ? result.stdout : undefined;
}

/**
 * What would have to be relocated at the start, which nobody does without a C library; undefined when nothing.
 * A pointer in constant data is enough for it: in these programs, tables hold text in arrays.
 */
function relocations(file) {
  const result = spawnSync("readelf", ["-rW", file], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  if (result.status !== 0) return "error: readelf, a part of binutils, cannot be started";
  return result.stdout.includes("There are no relocations")
    ? undefined
    : `error: relocations:${result.stdout}`;
}

/** Builds all programs with one compiler; what went wrong, or undefined. */
function build(compiler, architecture) {
  const folder = join(native, "prebuilt", `linux-${architecture}`);
  mkdirSync(folder, { recursive: true });
  for (const program of programs) {
    // A program that runs keeps its old file: it is replaced, never written to.
    const temporary = join(folder, `.${program}.${process.pid}`);
    const result = spawnSync(compiler, [...flags, `${program}.c`, "-o", temporary], {
      cwd: native,
      encoding: "utf8",
    });
    const wrong = result.status === 0 ? relocations(temporary) : (result.stderr ?? String(result.error));
    if (wrong !== undefined) {
      rmSync(temporary, { force: true });
      const lines = wrong.split("\n");
      return lines.find((line) => line.includes("error")) ?? lines[0] ?? "";
    }
    renameSync(temporary, join(folder, program));
  }
  return undefined;
}

/** As src/sandbox/fingerprint.ts has it. */
function fingerprint(bytes) {
  return (BigInt(`0x${bytes.toString("hex")}`) % (2n ** 64n - 59n)).toString(16).padStart(16, "0");
}

/** `sha256sum -c` in native/prebuilt reads the first file, and so does callgate; the second is for `callgate run` (verify-launcher.ts). */
function writeChecksums() {
  const hashes = [];
  const sums = [];
  for (const architecture of ["aarch64", "x86_64"]) {
    for (const program of programs) {
      const file = join(`linux-${architecture}`, program);
      const path = join(native, "prebuilt", file);
      if (!existsSync(path)) continue;
      const bytes = readFileSync(path);
      hashes.push(`${createHash("sha256").update(bytes).digest("hex")}  ${file}\n`);
      sums.push(`${fingerprint(bytes)}  ${file}\n`);
    }
  }
  writeFileSync(join(native, "prebuilt", "SHA256SUMS"), hashes.join(""));
  writeFileSync(join(native, "prebuilt", "FINGERPRINTS"), sums.join(""));
}

/** Why there is no launcher for this machine, or undefined when there is one. */
function buildAll() {
  if (process.platform !== "linux") return "this is not Linux";
  const own = { x64: "x86_64", arm64: "aarch64" }[process.arch];
  if (own === undefined) return `the launcher is for x86_64 and aarch64, and this is ${process.arch}`;
  if (output("gcc", ["--version"]) === undefined) return "gcc is not installed";
  const machine = output("gcc", ["-dumpmachine"])?.trim() ?? "";
  if (!machine.startsWith(own)) return `gcc makes programs for ${machine}, not for ${own}`;
  const problem = build("gcc", own);
  if (problem !== undefined) return `gcc failed: ${problem}`;

  const other = own === "x86_64" ? "aarch64" : "x86_64";
  const cross = `${other}-linux-gnu-gcc`;
  if (output(cross, ["--version"]) !== undefined) {
    const crossProblem = build(cross, other);
    if (crossProblem !== undefined)
      console.error(`callgate: no launcher for ${other}: ${cross} failed: ${crossProblem}`);
  }
  writeChecksums();
  return undefined;
}

const problem = buildAll();
if (problem !== undefined) {
  console.error(
    `callgate: the launcher was not built (${problem}), so \`callgate run\` will not work until \`npm run build:native\` ` +
      "was done on Linux with gcc installed; checking and explaining policies and the library's compile and prove do.",
  );
}
