/** What all lints have in common: the shape of their files. */
import type { Diagnostic, Documentation } from "../diagnostics/index.ts";
import type { Subject } from "./subject.ts";

/** What a lint has found; its id and severity are the lint's own. */
export type Finding = Omit<Diagnostic, "id" | "severity">;

/** One lint: looks at a policy without errors, and says what is probably not meant. */
export interface Lint {
  readonly documentation: Documentation;
  readonly check: (subject: Subject) => readonly Finding[];
}
