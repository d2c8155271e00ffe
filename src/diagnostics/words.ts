/** `a`, `a or b`, `a, b or c`. */
export function listWords(words: readonly string[], joint = "or"): string {
  if (words.length <= 1) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${joint} ${words[words.length - 1]}`;
}

/** `1 filter`, `2 filters`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** `2 errors, 1 warning`; empty where there is neither. */
export function countedMistakes(errors: number, warnings: number): string {
  return [
    ...(errors === 0 ? [] : [counted(errors, "error")]),
    ...(warnings === 0 ? [] : [counted(warnings, "warning")]),
  ].join(", ");
}
