/**
 * The form of the generated tables:
 *
 *   257 openat 2.6.16 dirfd/dfd:s32 pathname/filename:p flags:s32 mode:u16
 *
 *   row      = number name release argument…       release: "-" where it is not known
 *   argument = name{"/"alias} ":" type [place]      "?" alone: the arguments are not known
 *   type     = ("s"|"u")(16|32|64) | "p"[32|64]     "p" alone is as wide as a register
 *   place    = "@"N | "@"LOW"+"HIGH | "@mem" | "="V
 *
 * Without a place an argument is in the word after the one before it.
 */
import type { Argument, Place } from "./argument.ts";

/** A table that is not in its form: a mistake of the generator. */
function malformed(text: string): Error {
  return new Error(`malformed table entry "${text}"`);
}

function readWidth(digits: string, text: string): 16 | 32 | 64 {
  switch (digits) {
    case "16":
      return 16;
    case "32":
      return 32;
    case "64":
      return 64;
    default:
      throw malformed(text);
  }
}

function readPlace(text: string, next: number): Place {
  if (text === "") return { kind: "word", index: next };
  if (text === "@mem") return { kind: "memory" };
  if (text.startsWith("=")) return { kind: "constant", value: BigInt(text.slice(1)) };
  const plus = text.indexOf("+");
  if (plus === -1) return { kind: "word", index: Number(text.slice(1)) };
  return { kind: "words", low: Number(text.slice(1, plus)), high: Number(text.slice(plus + 1)) };
}

function wordAfter(place: Place, next: number): number {
  if (place.kind === "word") return place.index + 1;
  if (place.kind === "words") return Math.max(place.low, place.high) + 1;
  return next;
}

function readArgument(text: string, bits: 32 | 64, next: number): Argument {
  const colon = text.indexOf(":");
  const placeAt = text.slice(colon).search(/[@=]/);
  const typeEnd = placeAt === -1 ? text.length : colon + placeAt;
  const [name = "", ...aliases] = text.slice(0, colon).split("/");
  const letter = text[colon + 1];
  const digits = text.slice(colon + 2, typeEnd);
  const place = readPlace(text.slice(typeEnd), next);
  if (colon < 1) throw malformed(text);
  if (letter === "p") {
    const width = digits === "" ? bits : readWidth(digits, text);
    return { name, aliases, kind: "pointer", width, signed: false, place };
  }
  if (letter !== "s" && letter !== "u") throw malformed(text);
  return { name, aliases, kind: "integer", width: readWidth(digits, text), signed: letter === "s", place };
}

/** The arguments of a row, from the words after its head; undefined where they are not known. */
export function readArguments(text: string, bits: 32 | 64): readonly Argument[] | undefined {
  if (text === "?") return undefined;
  const args: Argument[] = [];
  let next = 0;
  for (const word of text === "" ? [] : text.split(" ")) {
    const arg = readArgument(word, bits, next);
    next = wordAfter(arg.place, next);
    args.push(arg);
  }
  return args;
}

/** The lines of a table, and each line's first `count` words with the rest as the last. */
export function readRows(table: string, count: number): readonly (readonly string[])[] {
  const rows: string[][] = [];
  for (const line of table.split("\n")) {
    if (line === "") continue;
    const row: string[] = [];
    let start = 0;
    while (row.length < count && start <= line.length) {
      const space = line.indexOf(" ", start);
      const end = space === -1 ? line.length : space;
      row.push(line.slice(start, end));
      start = end + 1;
    }
    row.push(line.slice(start));
    rows.push(row);
  }
  return rows;
}
