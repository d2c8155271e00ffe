// Runs the command's usual ways once, in one process, and keeps what V8 compiled for them: see cli-loader.cjs.
// Descriptor 3 is a pipe that somebody reads, so that `run` hands its plans over as it does to the launcher.
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");

const root = join(__dirname, "..");
const folder = join(root, "dist", "cli");
const main = join(folder, "main.cjs");
const ways = [
  ["check", "default"],
  ["check", "--json", "default"],
  ["check", join(root, "examples", "script.toml"), join(root, "examples", "mistakes.toml")],
  ["explain", "default", "socket(AF_INET)"],
  ["run", "--", "true"],
  ["run", "--dry-run", "--deny", "keyctl(operation == 0)", "--", "true"],
  ["run", "--help"],
  ["compile", "-o", "/dev/null", "default"],
  ["compile", "-o", "/dev/null", join(root, "bench", "policies", "docker.json")],
];

// A command that has ended ends Node, too; here more of them follow.
process.exit = () => {};

(async () => {
  process.argv = [process.execPath, main, ...ways[0]];
  const { build, parts, modules, load } = require(main);
  for (const way of ways) {
    process.argv = [process.execPath, main, ...way];
    modules.delete("./main.js");
    load("./main.js");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (const [name, { script }] of parts)
    writeFileSync(
      join(folder, "caches", `${name}-${build}-${process.version}-${process.arch}.cache`),
      script.createCachedData(),
    );
})();
