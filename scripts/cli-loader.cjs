// Starts the command: the parts beside this file, each when it is first needed, with the machine code that V8 made of
// it when it was built. Where another version of Node runs it, V8 refuses that code and compiles anew; nothing is ever
// written here.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

/** The hash of the parts and tables, put in by the build: V8 takes a cache for any source of the same length. */
const build = "BUILD";
/** Which part has which chunk, put in by the build. */
const partOf = "PARTS";

/** @type {Map<string, {script: Script, chunks: Record<string, Function>}>} */
const parts = new Map();
const modules = new Map();

/** The cache for this Node, if the build made one. */
function readCache(part) {
  try {
    return readFileSync(
      join(__dirname, "caches", `${part}-${build}-${process.version}-${process.arch}.cache`),
    );
  } catch {
    return undefined;
  }
}

function loadPart(name) {
  let part = parts.get(name);
  if (part === undefined) {
    const filename = join(__dirname, `${name}.js`);
    const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData: readCache(name) });
    part = { script, chunks: script.runInThisContext() };
    parts.set(name, part);
  }
  return part;
}

/** What `require` is in a chunk: another chunk, or a module of Node's. */
function load(name) {
  const part = partOf[name];
  if (part === undefined) return require(name);
  let module = modules.get(name);
  if (module === undefined) {
    module = { exports: {} };
    modules.set(name, module);
    loadPart(part).chunks[name](module.exports, load, module, __dirname, build);
  }
  return module.exports;
}

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`callgate needs Node 20.19 or newer, and this is ${process.version}\n`);
  const command = process.argv.slice(2, 4).join(" ");
  process.exitCode = /^run\b|^lxc (start|attach)$/.test(command) ? 125 : 2;
} else {
  module.exports = { build, parts, modules, load };
  load("./main.js");
}
