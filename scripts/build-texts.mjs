// Writes what is made of the command's own tables, after tsc: schema/policy.schema.json (checked in, for editors that
// read it from the repository).
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const { policySchema } = await import("../dist/src/policy/schema.js");
mkdirSync("schema", { recursive: true });
writeFileSync(join("schema", "policy.schema.json"), `${JSON.stringify(policySchema(), null, 2)}\n`);
