/** What a page of the manual says of one kind of diagnostic: `docs/diagnostics.md` and SARIF's rules come from these. */
import type { Severity } from "./diagnostic.ts";

export interface Documentation {
  /** The diagnostic's own: `unknown-syscall`. */
  readonly id: string;
  readonly severity: Severity;
  /** One sentence: what the text has that is reported. */
  readonly what: string;
  /** Why that matters, and what to do. */
  readonly why: string;
  /** Rules (or a whole policy, where the text has `version`) that the diagnostic is reported for. */
  readonly example?: string;
  /** The same, mended. */
  readonly instead?: string;
  /** Why there is no example: it is reported of something other than a policy's text. */
  readonly noExample?: string;
}

/** A documented example as a whole policy: rules alone stand in the shortest one. */
export function policyOfExample(example: string): string {
  return /^\s*\{|^version\b|^\[/m.test(example)
    ? example
    : `version = 1\n[syscalls]\nrules = '''\n${example}\n'''\n`;
}
