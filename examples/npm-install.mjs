// `npm install` whose install scripts have no network: packages come from a folder, scripts reach nobody.
// Debian packages: npm (or any npm in PATH).
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, prepare } from "callgate";

const folder = mkdtempSync(join(tmpdir(), "npm-install-"));
const write = (file, value) => writeFileSync(join(folder, file), typeof value === "string" ? value : JSON.stringify(value));
mkdirSync(join(folder, "vendor"));
write("package.json", { name: "app", version: "1.0.0", dependencies: { helpful: "file:vendor" } });
write("vendor/package.json", { name: "helpful", version: "1.2.3", scripts: { install: "node phone-home.js" } });
write(
  "vendor/phone-home.js",
  `require("net").connect(80, "127.0.0.1").on("error", (e) => require("fs").writeFileSync("${folder}/said", e.code));`,
);

const offline = prepare({
  version: 1,
  extends: ["default"],
  syscalls: { rules: "deny socket(domain in {AF_INET, AF_INET6})  # what is installed does not phone home" },
});
const { exitCode, stderr } = await exec("npm", ["install", "--offline", "--install-links", "--no-audit"], {
  policy: offline,
  cwd: folder,
  env: { ...process.env, npm_config_cache: join(folder, "cache") },
});
console.log("npm install:", exitCode === 0 ? "done" : stderr);
console.log("installed:", JSON.parse(readFileSync(join(folder, "node_modules/helpful/package.json"), "utf8")).version);
console.log("its install script's connection:", readFileSync(join(folder, "said"), "utf8"));
rmSync(folder, { recursive: true });
