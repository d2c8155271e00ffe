// Runs the command's usual ways once, in one process, and keeps what V8 compiled for them: see cli-loader.cjs.
const { writeFileSync } = require("node:fs");
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
  writeFileSync(join(folder, `callgate-${process.version}-${process.arch}.cache`), cache);
  process.exitCode = 0;
})();
