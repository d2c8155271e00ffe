// Starts the command: the bundle beside this file, with the machine code that V8 made of it when it was built. Where
// another version of Node runs it, V8 refuses that cache and compiles anew; nothing is ever written here.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

const filename = join(__dirname, "callgate.js");
/** The bundle's own hash, put in by the build: V8 takes a cache for any source of the same length. */
const build = "BUILD";

/** The cache for this Node, if the build made one. */
function readCache() {
  try {
    return readFileSync(join(__dirname, `callgate-${build}-${process.version}-${process.arch}.cache`));
  } catch {
    return undefined;
  }
}

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`callgate needs Node 20.19 or newer, and this is ${process.version}\n`);
  const command = process.argv.slice(2, 4).join(" ");
  process.exitCode = /^run\b|^lxc (start|attach)$/.test(command) ? 125 : 2;
} else {
  const source = readFileSync(filename, "latin1");
  const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, {
    filename,
    cachedData: readCache(),
  });
  module.exports = script;
  script.runInThisContext()({}, require, { exports: {} }, filename, __dirname);
}
