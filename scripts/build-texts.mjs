// Writes what is made of the command's own tables, after tsc: manual pages and completions (into dist/, for the
// packages), and schema/policy.schema.json (checked in, for editors that read it from the repository).
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const from = (path) => import(`../dist/src/${path}`);
const { policySchema } = await from("policy/schema.js");
const { completionScripts } = await from("cli/completions/index.js");
const { commandGroups: groups, commands } = await from("cli/commands.js");
const { commandPage } = await from("cli/man/command-page.js");
const { policyPage } = await from("cli/man/policy-page.js");
const { releaseDate: date, version } = await from("cli/version.js");

function write(folder, name, text) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
}

write("schema", "policy.schema.json", `${JSON.stringify(policySchema(), null, 2)}\n`);
write("dist/man", "callgate.1", commandPage({ commands, groups, version, date }));
write("dist/man", "callgate-policy.5", policyPage({ version, date }));
const table = { commands, groups };
write("dist/completions", "callgate.bash", completionScripts.bash(table));
write("dist/completions", "_callgate", completionScripts.zsh(table));
write("dist/completions", "callgate.fish", completionScripts.fish(table));
