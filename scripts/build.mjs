// Builds everything that `npm ci` must leave behind: the library and tests (tsc), the command line
// (one bundle, esbuild) and the native programs (gcc). `npm ci` calls it as `prepare`.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);

/** Runs one program of node_modules/.bin; its failure ends the build with its own status. */
function tool(name, ...args) {
  const result = spawnSync(join("node_modules", ".bin", name), args, { stdio: "inherit" });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

if (!existsSync(join("node_modules", ".bin", "tsc"))) {
  console.error("callgate: the build tools are not installed: run `npm ci` (without --omit=dev) first");
  process.exit(1);
}

rmSync("dist", { recursive: true, force: true });
tool("tsc", "-p", "tsconfig.json");

// The built-in policies are files that people read; the compiled library finds them beside its code.
const policies = join("src", "policy", "builtin");
mkdirSync(join("dist", policies), { recursive: true });
mkdirSync(join("dist", "cli", "builtin"), { recursive: true });
for (const file of readdirSync(policies).filter((name) => name.endsWith(".toml"))) {
  cpSync(join(policies, file), join("dist", policies, file));
}

tool(
  "esbuild",
  "src/cli/main.ts",
  "--bundle",
  "--platform=node",
  "--format=esm",
  "--target=node20.19",
  "--splitting",
  "--outdir=dist/cli",
  "--log-level=warning",
);

await import("./build-native.mjs");
