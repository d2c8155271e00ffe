/** `a`, `a or b`, `a, b or c`. */
export function listWords(words: readonly string[], joint = "or"): string {
  if (words.length <= 1) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${joint} ${words[words.length - 1]}`;
}
