// Builds the command for a quick start: a few parts, so that a command reads only what it needs; CommonJS (naming
// node:fs's exports in a module makes Node load its streams); the system-call tables as texts beside them that are
// read when they are asked for; and V8's code cache, a file for each part.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, delimiter, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, transform } from "esbuild";

const out = join("dist", "cli");
const entry = join("src", "cli", "main.ts");
const tableFolder = join("src", "syscalls", "tables");

const run = "src/cli/commands/run.ts";
const filter = ["src/compiler/index.ts", "src/cli/commands/compile.ts", "src/cli/read-start.ts"];
const check = ["src/cli/commands/check.ts", "src/lint/index.ts"];
/** A container's start waits for it. */
const lxcHook = ["src/cli/lxc/module.ts", "src/cli/lxc/hook.ts"];

/**
 * The parts in the order of their need: each has what its modules import and no part before it has; `shared` has lists
 * of lists of modules: what every list of one of them imports is in the part, too.
 */
const parts = [
  {
    name: "main",
    modules: [entry],
    shared: [
      [[run], check],
      [[run], filter],
    ],
  },
  { name: "run", modules: [run] },
  { name: "core", modules: [], shared: [[check, filter]] },
  { name: "check", modules: check },
  { name: "filter", modules: filter },
  { name: "lxc", modules: lxcHook },
  { name: "other", modules: undefined },
];

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

/**
 * The generated tables' texts, one behind the other in one file (a kept plan rests on each file of the command): where each
 * begins, and how long it is.
 */
const tables = new Map();
let tablesText = "";
for (const file of readdirSync(tableFolder)
  .filter((name) => name.endsWith(".ts"))
  .sort()) {
  const source = readFileSync(join(tableFolder, file), "utf8");
  const table = /^export const (\w+)(?:: string)? = `([^`$\\]*)`;\s*$/m.exec(source);
  if (table === null || source.match(/^export /gm)?.length !== 1) throw new Error(`${file} is not one table`);
  const [, name, text] = table;
  if (/[^\0-\x7f]/.test(text)) throw new Error(`${file} is not ASCII, which its reader takes it for`);
  tables.set(file, { name, start: tablesText.length, length: text.length });
  tablesText += text;
}
writeFileSync(join(out, "tables.txt"), tablesText);

/** `export const NAME = \`…\`` of a generated table becomes a property that reads its part of that file. */
const tablesAsTexts = {
  name: "tables-as-texts",
  setup(bundle) {
    bundle.onResolve({ filter: /^\.\/tables\/\w+\.ts$/ }, ({ path }) => ({
      path: basename(path),
      namespace: "table",
    }));
    bundle.onLoad({ filter: /.*/, namespace: "table" }, ({ path }) => {
      const { name, start, length } = tables.get(path);
      return {
        loader: "js",
        resolveDir: resolve("scripts"),
        contents: `const { readTable } = require("./read-table.cjs");
          let text;
          Object.defineProperty(exports, "${name}", {
            enumerable: true,
            get: () => (text ??= readTable(${start}, ${length})),
          });`,
      };
    });
  },
};

// 1. Modules that the same commands need become one chunk; a chunk is in one place only, so what it holds exists once.
const { outputFiles, metafile } = await build({
  entryPoints: [entry],
  outdir: out,
  bundle: true,
  splitting: true,
  write: false,
  metafile: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  define: { "import.meta.dirname": "__dirname" },
  plugins: [tablesAsTexts],
  logLevel: "warning",
});
const chunks = new Map(
  outputFiles.map(({ path, text }) => {
    const name = relative("", path);
    return [name, { text, ...metafile.outputs[name] }];
  }),
);

/** The chunks of some modules, and all that these import. */
function closureOf(modules) {
  const wanted = [...chunks.keys()].filter(
    (chunk) => modules === undefined || modules.includes(chunks.get(chunk).entryPoint),
  );
  if (modules !== undefined && wanted.length !== modules.length)
    throw new Error(`not each of these modules is loaded by import(): ${modules.join(", ")}`);
  const found = new Set();
  for (let chunk = wanted.pop(); chunk !== undefined; chunk = wanted.pop()) {
    if (found.has(chunk)) continue;
    found.add(chunk);
    for (const { path, kind, external } of chunks.get(chunk).imports)
      if (kind === "import-statement" && !external) wanted.push(path);
  }
  return found;
}

// 2. Each chunk goes to the first part that needs it.
const partOf = new Map();
for (const { name, modules, shared = [] } of parts) {
  const common = shared.flatMap((lists) => {
    const [first = new Set(), ...others] = lists.map(closureOf);
    return [...first].filter((chunk) => others.every((other) => other.has(chunk)));
  });
  for (const chunk of [...closureOf(modules), ...common]) if (!partOf.has(chunk)) partOf.set(chunk, name);
}

// 3. A part is an object of functions, a chunk each, which the loader calls when the chunk is first imported.
const digest = createHash("sha256");
for (const { name } of parts) {
  const functions = [];
  for (const [chunk, part] of partOf) {
    if (part !== name) continue;
    const { code } = await transform(chunks.get(chunk).text, {
      format: "cjs",
      platform: "node",
      target: "node20.19",
      // import() of a chunk becomes the loader's require() in a promise.
      supported: { "dynamic-import": false },
      minify: true,
    });
    functions.push(`"./${basename(chunk)}"(exports,require,module,__dirname,callgateBuild){${code}}`);
  }
  const text = `({${functions.join(",\n")}})`;
  if (/[^\0-\x7f]/.test(text)) throw new Error(`${name}.js is not ASCII, which the loader reads it as`);
  writeFileSync(join(out, `${name}.js`), text);
  digest.update(text);
}

digest.update(tablesText);
const buildId = digest.digest("hex").slice(0, 32);

// The caches go by this hash: another build's cache must never be run in its place.
const loader = readFileSync(join("scripts", "cli-loader.cjs"), "utf8")
  .replace('"BUILD"', JSON.stringify(buildId))
  .replace(
    '"PARTS"',
    JSON.stringify(Object.fromEntries([...partOf].map(([c, p]) => [`./${basename(c)}`, p]))),
  );
writeFileSync(join(out, "main.cjs"), loader);
// 4. The filters that are made and proved beforehand, by the same modules as they came from tsc. Their files name the
// build too.
const ready = join(out, "ready");
mkdirSync(ready, { recursive: true });
const { readyFileTexts } = await import(pathToFileURL(join("dist", "src", "sandbox", "make-ready.js")).href);
for (const [name, text] of readyFileTexts(buildId)) writeFileSync(join(ready, name), text);

// 5. V8's caches, for each Node that may start the command here: the one that builds, one of npm's, and those of PATH.
// (npm puts node_modules/.bin first into PATH, a shell does not.) Without caches the command is slower and works all the
// same, so one that cannot make them is passed over. They have a folder of their own, since they say nothing of what the
// command does: kept plans rest on the files beside it.
rmSync(join(out, "caches"), { recursive: true, force: true });
mkdirSync(join(out, "caches"));
const folders = [join("node_modules", ".bin"), ...(process.env.PATH ?? "").split(delimiter)];
/** By their real paths. */
const nodes = new Map(
  [...folders.map((folder) => resolve(folder, "node")), process.execPath]
    .filter((file) => existsSync(file))
    .map((file) => [realpathSync(file), file]),
);
for (const node of nodes.values())
  spawnSync("sh", ["-c", '"$0" "$1" 3>&1 >/dev/null | cat', node, join("scripts", "warm-cli.cjs")], {
    stdio: "ignore",
    timeout: 60_000,
  });
