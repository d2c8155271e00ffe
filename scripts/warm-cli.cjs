// Runs the command's usual ways once, in one process, and keeps what V8 compiled for them: see cli-loader.cjs.
const { createHash } = require("node:crypto");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const folder = join(__dirname, "..", "dist", "cli");
const main = join(folder, "main.cjs");
const ways = [
  ["check", "default"],
  ["check", "--json", "default"],
  ["explain", "default", "socket(AF_INET)"],
  ["run", "--dry-run", "--deny", "keyctl(operation == 0)", "--", "true"],
  ["run", "--help"],
];

(async () => {
  let script;
  for (const way of ways) {
    process.argv = [process.execPath, main, ...way];
    delete require.cache[require.resolve(main)];
    script ??= require(main);
    script.runInThisContext()({}, require, { exports: {} }, main, folder);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const cache = script.createCachedData();
  const build = createHash("sha256")
    .update(readFileSync(join(folder, "callgate.js")))
    .digest("hex")
    .slice(0, 16);
  writeFileSync(join(folder, `callgate-${build}-${process.version}-${process.arch}.cache`), cache);
  process.exitCode = 0;
})();
