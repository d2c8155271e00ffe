import type { Documentation } from "../diagnostics/index.ts";
export const catalogue: readonly Documentation[] = [];
