// `npm run demo`: the command `callgate demo`, from the folder of the package.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const command = join(dirname(fileURLToPath(import.meta.url)), "..", "bin", "callgate");
const { status, error } = spawnSync(command, ["demo"], { stdio: "inherit" });
if (error !== undefined) console.error(`callgate: cannot start ${command}: ${error.message}`);
process.exitCode = status ?? 1;
