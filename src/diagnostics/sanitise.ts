/**
 * Text from outside (file names, policy lines, program names), made fit for a terminal: control characters,
 * escapes and characters that reorder the line are shown as `\x1b` or `\u{202e}`, never sent.
 */
export function sanitise(text: string): string {
  let out = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code === 0x09) out += " ";
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (
      (code >= 0x200b && code <= 0x200f) ||
      (code >= 0x2028 && code <= 0x202e) ||
      (code >= 0x2066 && code <= 0x2069) ||
      code === 0xfeff
    ) {
      out += `\\u{${code.toString(16)}}`;
    } else out += character;
  }
  return out;
}
