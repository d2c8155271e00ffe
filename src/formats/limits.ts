import type { Diagnostic, Source } from "../diagnostics/index.ts";

/** The largest file that is read, in bytes; policies are some kilobytes. */
export const largestFile = 8 * 1024 * 1024;
/** The longest line, in UTF-16 units. */
const longestLine = 64 * 1024;

/** Where half a character stands (a lone surrogate), or -1: no file has it, and no format can write it. */
export function halfCharacter(text: string): number {
  return text.isWellFormed() ? -1 : text.search(/\p{Surrogate}/u);
}

/**
 * What makes a text unfit for any reader, before one is tried: parsers need not be trusted with input that no
 * policy has. Undefined when the text is fit.
 */
export function unfitText(source: Source): Diagnostic | undefined {
  const { text } = source;
  if (text.length > largestFile)
    return unfit("file-too-large", "this file is larger than 8 MiB: it is not a policy");
  const nul = text.indexOf("\0");
  if (nul !== -1) {
    return {
      ...unfit("not-text", "there is a NUL character here: this is not a text"),
      span: { source, start: nul, end: nul + 1 },
    };
  }
  const half = halfCharacter(text);
  if (half !== -1) {
    return {
      ...unfit("not-text", "there is half a character here (a lone surrogate): this is not a text"),
      span: { source, start: half, end: half + 1 },
    };
  }
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    if (end - start > longestLine) {
      return {
        ...unfit("line-too-long", "this line is longer than 64 KiB: it is not a policy"),
        span: { source, start, end: start + 1 },
      };
    }
    start = end + 1;
  }
  return undefined;
}

function unfit(id: string, message: string): Diagnostic {
  return { id, severity: "error", message };
}
