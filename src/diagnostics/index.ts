export { applyFixes, type FixedText } from "./apply-fixes.ts";
export type { Diagnostic, Fix, Note, Position, Severity, Source, Span } from "./diagnostic.ts";
export { hasErrors, lineText, positionAt, spanText } from "./diagnostic.ts";
export { type Documentation, policyOfExample } from "./documentation.ts";
export { nearest } from "./nearest.ts";
export { diagnosticsToJson, type JsonDiagnostic, type JsonPlace } from "./render-json.ts";
export { place, renderTerminal, type TerminalOptions } from "./render-terminal.ts";
export { sanitise } from "./sanitise.ts";
export { listWords } from "./words.ts";

import type { Diagnostic } from "./diagnostic.ts";
import { diagnosticsToJson } from "./render-json.ts";
import { renderTerminal } from "./render-terminal.ts";

/** How to render: `text` for people (the default), `json` for programs. */
export interface RenderOptions {
  readonly format?: "text" | "json";
  readonly colour?: boolean;
  readonly width?: number;
}

/** Renders diagnostics: as lines with carets, or as one JSON array. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], options: RenderOptions = {}): string {
  if (options.format === "json") return JSON.stringify(diagnosticsToJson(diagnostics));
  return renderTerminal(diagnostics, { colour: options.colour ?? false, width: options.width ?? 80 });
}
