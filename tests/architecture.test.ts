// Knowledge flows one way: which folder may import from which (DESIGN, section 2).
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, test } from "node:test";

/** Folders, or files by their whole path; what is not named here may import anything but cli. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  bpf: [],
  syscalls: [],
  diagnostics: [],
  policy: ["syscalls", "diagnostics"],
  denials: ["policy", "syscalls", "diagnostics"],
  learn: ["denials", "policy", "syscalls", "diagnostics", "formats/toml.ts"],
  formats: ["policy", "syscalls", "diagnostics"],
  compiler: ["policy", "bpf", "syscalls", "proof"],
  lint: ["policy", "proof", "syscalls", "diagnostics"],
  proof: ["policy", "bpf", "syscalls", "diagnostics", "compiler/return-value.ts"],
};
/** Who may use Node's own modules. */
const withNode = ["sandbox", "lxc", "cli", "formats/load.ts"];

const src = join(import.meta.dirname, "..", "..", "src");
const imports = readdirSync(src, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name = ""]) => ({
      file,
      name,
    }));
  });
const folderOf = (file: string): string => file.split("/")[0] ?? "";

describe("imports go one way", () => {
  for (const [folder, others] of Object.entries(allowed)) {
    test(`src/${folder} imports ${others.length === 0 ? "no other folder" : `only from ${others.join(", ")}`}`, () => {
      const own = imports.filter(({ file, name }) => folderOf(file) === folder && name.startsWith("."));
      assert.ok(own.length > 0);
      for (const { file, name } of own) {
        const imported = relative(src, join(src, dirname(file), name));
        const isAllowed = [folder, ...others].some(
          (one) => imported === one || imported.startsWith(`${one}/`),
        );
        assert.ok(isAllowed, `src/${file} imports ${imported}`);
      }
    });
  }

  test("nothing imports src/cli", () => {
    for (const { file, name } of imports.filter(({ name }) => name.startsWith("."))) {
      const imported = relative(src, join(src, dirname(file), name));
      assert.ok(folderOf(imported) !== "cli" || folderOf(file) === "cli", `src/${file} imports ${imported}`);
    }
  });

  test(`Node's modules are imported only in ${withNode.join(", ")}`, () => {
    const users = imports.filter(({ name }) => name.startsWith("node:")).map(({ file }) => file);
    assert.ok(users.includes("formats/load.ts"));
    for (const file of users)
      assert.ok(
        withNode.includes(folderOf(file)) || withNode.includes(file),
        `src/${file} imports a Node module`,
      );
  });
});

test("tests draw from one seed", () => {
  const tests = join(import.meta.dirname, "..", "..", "tests");
  const files = readdirSync(tests, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => ({ file, text: readFileSync(join(tests, file), "utf8") }));
  const drawing = files.filter(({ text }) => /\bfc\.(?:assert|check|sample)\(/.test(text));
  assert.ok(drawing.length > 10);
  for (const { file, text } of drawing) assert.match(text, /import .*"\.\.\/seed\.ts";/, file);
  // A seed that is the time's, or none at all, repeats nothing.
  const own = /\bMath\.random\(|\bDate\.now\(\) [&%]|Of\(Date\.now|\bseed:|\bnumRuns[^}\n]*\bseed\b/;
  for (const { file, text } of files)
    if (file !== "seed.ts" && file !== "architecture.test.ts") assert.doesNotMatch(text, own, file);
});
