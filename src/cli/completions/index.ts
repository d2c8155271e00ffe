/** Completion scripts, one file a shell. */
import { bashCompletions } from "./bash.ts";
import { fishCompletions } from "./fish.ts";
import type { CompletionTable } from "./words.ts";
import { zshCompletions } from "./zsh.ts";

export type { CompletionTable } from "./words.ts";

export const completionScripts: Readonly<
  Record<"bash" | "zsh" | "fish", (table: CompletionTable) => string>
> = {
  bash: bashCompletions,
  zsh: zshCompletions,
  fish: fishCompletions,
};
