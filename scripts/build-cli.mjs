// Builds the command for a quick start: one CommonJS file (naming node:fs's exports in a module makes Node load its
// streams), the system-call tables as texts beside it that are read when they are asked for, and V8's code cache.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

const out = join("dist", "cli");
mkdirSync(join(out, "tables"), { recursive: true });

/** `export const NAME = \`…\`` of a generated table becomes a text file and a property that reads it. */
const tablesAsTexts = {
  name: "tables-as-texts",
  setup(bundle) {
    bundle.onResolve({ filter: /^\.\/tables\/\w+\.ts$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path),
      namespace: "table",
    }));
    bundle.onLoad({ filter: /.*/, namespace: "table" }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const table = /^export const (\w+)(?:: string)? = `([^`$\\]*)`;\s*$/m.exec(source);
      if (table === null || source.match(/^export /gm)?.length !== 1)
        throw new Error(`${path} is not one table`);
      const [, name, text] = table;
      const file = `${basename(path, ".ts")}.txt`;
      writeFileSync(join(out, "tables", file), text);
      const read = `require("node:fs").readFileSync(require("node:path").join(__dirname, "tables", ${JSON.stringify(file)}), "utf8")`;
      return {
        loader: "js",
        contents: `let text; Object.defineProperty(exports, "${name}", { enumerable: true, get: () => (text ??= ${read}) });`,
      };
    });
  },
};

await build({
  entryPoints: [join("src", "cli", "main.ts")],
  outfile: join(out, "callgate.js"),
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20.19",
  minifyWhitespace: true,
  minifySyntax: true,
  define: { "import.meta.url": "importMetaUrl" },
  banner: { js: 'const importMetaUrl=require("node:url").pathToFileURL(__filename).href;' },
  plugins: [tablesAsTexts],
  minifyIdentifiers: true,
  logLevel: "warning",
});

// The cache goes by the bundle's hash: another build's cache must never be run in its place.
const hash = createHash("sha256")
  .update(readFileSync(join(out, "callgate.js")))
  .digest("hex")
  .slice(0, 16);
for (const file of readdirSync(out)) if (file.endsWith(".cache")) rmSync(join(out, file));
const loader = readFileSync(join("scripts", "cli-loader.cjs"), "utf8");
writeFileSync(join(out, "main.cjs"), loader.replace('"BUILD"', JSON.stringify(hash)));
// Without a cache the command is slower and works all the same.
spawnSync(process.execPath, [join("scripts", "warm-cli.cjs")], { stdio: "ignore" });
