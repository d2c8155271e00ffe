/** A compiled filter as text: the annotated listing, and an array for programs in C. */
import { disassemble, type Filter, format, type ListingRow } from "../bpf/index.ts";
import { sanitise } from "../diagnostics/index.ts";
import { counted } from "../diagnostics/words.ts";
import { type Abi, abis } from "../syscalls/index.ts";
import { annotateFilter } from "./annotate-filter.ts";
import type { NamedValue } from "./policy-constants.ts";
import { version } from "./version.ts";

/** Where a filter comes from, for the head of its text. */
export interface FilterOrigin {
  /** What it was made of: `policy thumbnailer`, `3 filters`. */
  readonly title: string;
  /** What the proof compared it with: `the policy`, or a part of something. */
  readonly provedEqualTo: string;
  /** The ABIs that it has numbers of; undefined where that is not known. */
  readonly abis?: readonly string[];
  readonly machine: Abi["machine"];
  /** What the policy calls the numbers that it compares with. */
  readonly constants: readonly NamedValue[];
}

function head({ instructions }: Filter, origin: FilterOrigin): string {
  const size = counted(instructions.length, "instruction");
  const abiNames = origin.abis === undefined ? "" : ` for ${origin.abis.join(", ")}`;
  return `${sanitise(origin.title)}: ${size}${abiNames}; proved equal to ${origin.provedEqualTo} by callgate ${version}`;
}

/** One instruction a line, with the calls and arguments that it is about. Jump targets are line numbers. */
export function assemblyText(filter: Filter, origin: FilterOrigin): string {
  return `; ${head(filter, origin)}\n${format(rowsOf(filter, origin))}`;
}

function rowsOf({ instructions }: Filter, { machine, constants }: FilterOrigin): readonly ListingRow[] {
  const endianness = abis.find((abi) => abi.machine === machine)?.endian ?? "little";
  return disassemble(instructions, {
    endianness,
    annotate: annotateFilter(instructions, machine, constants),
  });
}

/** A C source: `callgate_filter`, and `callgate_program` as prctl and seccomp take it. */
export function cText(filter: Filter, origin: FilterOrigin): string {
  const lines = rowsOf(filter, origin).map(({ index, instruction, mnemonic, operand, comment }) => {
    const { code, jt, jf, k } = instruction;
    const code16 = `{ 0x${code.toString(16).padStart(2, "0")}, ${jt}, ${jf}, 0x${k.toString(16).padStart(8, "0")} },`;
    const words = `${index}  ${mnemonic.padEnd(5)} ${operand}${comment === undefined ? "" : `  ; ${comment}`}`;
    return `\t${code16.padEnd(32)} /* ${words.trimEnd()} */\n`;
  });
  // A policy may be named anything; its name must not end the comment.
  const title = head(filter, origin).replaceAll("*/", "* /").replaceAll("/*", "/ *");
  return `/*
 * ${title}
 *
 * Load it after prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
 *
 *     extern const struct sock_fprog callgate_program;
 *     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &callgate_program);
 */
#include <linux/filter.h>

const struct sock_filter callgate_filter[${filter.instructions.length}] = {
${lines.join("")}};

const struct sock_fprog callgate_program = {
\t.len = ${filter.instructions.length},
\t.filter = (struct sock_filter *)callgate_filter,
};
`;
}
