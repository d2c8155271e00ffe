/** `callgate formats`: what is read and what is written. */
import { formats } from "../../formats/catalogue.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { print } from "../output.ts";

export function main(parsed: ParsedArguments): number {
  if (parsed.operands.length > 0) throw new UsageError("formats takes no operands");
  if (hasOption(parsed, "json")) {
    const facts = formats.map(({ name, summary, reads, writes }) => ({ name, summary, reads, writes }));
    print(`${JSON.stringify(facts, null, 2)}\n`);
    return 0;
  }
  const width = Math.max(...formats.map(({ name }) => name.length));
  for (const { name, summary, reads, writes } of formats) {
    const ways = [reads ? "read" : "", writes ? "written" : ""].filter((word) => word !== "").join(", ");
    print(`${name.padEnd(width)}  ${ways.padEnd(13)}  ${summary}\n`);
  }
  return 0;
}
