// Reads the prototypes of section 2 manual pages, for the argument names that people know.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

function unquote(text) {
  return [...text.matchAll(/"((?:[^"]|"")*)"|(\S+)/g)].map((m) => m[1] ?? m[2]);
}

/** The SYNOPSIS as plain C text. */
function synopsis(page) {
  const lines = page.replace(/\\\n/g, " ").split("\n");
  const start = lines.findIndex((line) => line.startsWith(".SH SYNOPSIS"));
  if (start < 0) return "";
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith(".SH "));
  const text = lines
    .slice(start + 1, start + 1 + length)
    .filter((line) => !line.startsWith('.\\"'))
    .map((line) =>
      /^\.(B|I|BI|BR|RB|IR|RI|IB)\s/.test(line)
        ? unquote(line.replace(/^\.\w+\s+/, "")).join(
            line.startsWith(".B ") || line.startsWith(".I ") ? " " : "",
          )
        : line.startsWith(".")
          ? ""
          : line,
    )
    .join("\n");
  return text
    .replace(/\\f(\[\w*\]|\w)/g, "")
    .replace(/\\[&c~]/g, " ")
    .replace(/\\-/g, "-")
    .replace(/\b_Nullable\b|\brestrict\b/g, "")
    .replace(/\.\.\.\s*\/\*([\s\S]*?)\*\//g, "$1")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^#.*$/gm, "");
}

function splitArguments(text) {
  const parts = [];
  let depth = 0;
  let part = "";
  for (const c of text) {
    if (c === "(") depth += 1;
    if (c === ")") depth -= 1;
    if (c === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += c;
  }
  parts.push(part);
  return parts.map((p) => p.replace(/\s+/g, " ").trim()).filter((p) => p !== "" && p !== "void");
}

function argumentName(text) {
  const functionPointer = /\(\s*\*\s*(\w+)\s*\)/.exec(text);
  if (functionPointer) return functionPointer[1];
  return /(\w+)\s*(\[[^\]]*\]\s*)*$/.exec(text)?.[1];
}

/** name → argument names, of every function that section 2 of an unpacked manpages-dev documents. */
export function readManual(root) {
  const folder = join(root, "usr/share/man/man2");
  const prototypes = new Map();
  if (!existsSync(folder)) throw new Error(`${folder} is not there: unpack manpages-dev into ${root}`);
  for (const file of readdirSync(folder)) {
    if (!file.endsWith(".gz")) continue;
    const page = gunzipSync(readFileSync(join(folder, file))).toString("utf8");
    if (page.startsWith(".so")) continue;
    for (const match of synopsis(page).matchAll(
      /\b(\w+)\s*\(((?:[^;()]|\((?:[^()]|\([^()]*\))*\))*)\)\s*;/g,
    )) {
      let [, name, text] = match;
      let parts = splitArguments(text);
      if (name === "syscall" && parts[0]?.startsWith("SYS_")) {
        name = parts[0].slice(4);
        parts = parts.slice(1);
      }
      const names = parts.filter((p) => p !== "...").map(argumentName);
      if (names.includes(undefined)) continue;
      if ((prototypes.get(name)?.length ?? -1) < names.length) prototypes.set(name, names);
    }
  }
  return prototypes;
}
