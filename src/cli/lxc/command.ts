import type { Container } from "../../lxc/container.ts";
import type { ParsedArguments } from "../arguments.ts";

/** What a subcommand of `callgate lxc` gets. */
export interface LxcArguments {
  readonly parsed: ParsedArguments;
  /** Behind the subcommand's name. */
  readonly operands: readonly string[];
  readonly lxcpath: () => string;
  /** The containers that are named by -n, by these operands, or by --all. */
  readonly containers: (names: readonly string[]) => readonly Container[];
}

export type LxcCommand = (args: LxcArguments) => number | Promise<number>;
