/** What the manual says of every diagnostic, lints and readers' alike. */
import type { Documentation } from "../diagnostics/index.ts";
import { catalogue } from "./catalogue.ts";
import { lxcCatalogue } from "./catalogue-lxc.ts";
import { lints } from "./index.ts";

/** Sorted by id. */
export const documentation: readonly Documentation[] = [
  ...lints.map((lint) => lint.documentation),
  ...catalogue,
  ...lxcCatalogue,
].sort((a, b) => (a.id < b.id ? -1 : 1));

export function documentationOf(id: string): Documentation | undefined {
  return documentation.find((one) => one.id === id);
}
