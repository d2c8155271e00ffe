/** Text as mdoc(7), the language of manual pages: what would be a macro or an escape is neither. */

/** The text of a page: sentences begin on lines of their own, and no line is longer than a terminal is wide. */
export function prose(text: string): string {
  // "e.g." and the like do not end a sentence: what follows an end is a capital letter.
  const sentences = text.split(/(?<=[.?!:])\s+(?=[A-Z])/);
  return sentences.map(wrapped).join("\n");
}

function wrapped(sentence: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of sentence.split(/\s+/).map(escaped)) {
    if (line !== "" && line.length + 1 + word.length > 76) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map(harmless).join("\n");
}

/** A backslash begins an escape, and a hyphen would become a typographic one. */
export function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll(/(?<=^|[^A-Za-z0-9])-/g, "\\-");
}

/** A dot or a quote at a line's beginning begins a macro. */
function harmless(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

/** Words as a macro's argument: one, whatever is in it. */
export function argument(text: string): string {
  const plain = escaped(text).replaceAll('"', "\\(dq");
  // Names of macros and delimiters would be called.
  return /^[A-Z][a-z]$|^[.,:;()[\]?!|]$/.test(plain) ? `\\&${plain}` : / /.test(plain) ? `"${plain}"` : plain;
}

/** Lines as they are, in a fixed pitch. */
export function literal(lines: readonly string[]): string {
  return [".Bd -literal -offset indent", ...lines.map((line) => harmless(escaped(line))), ".Ed"].join("\n");
}
