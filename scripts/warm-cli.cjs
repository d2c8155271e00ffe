// Runs the command's usual ways once, in one process, and keeps what V8 compiled for them: see cli-loader.cjs.
// Descriptor 3 is a pipe that somebody reads, so that `run` hands its plans over as it does to the launcher.
const { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const root = join(__dirname, "..");
const folder = join(root, "dist", "cli");
const main = join(folder, "main.cjs");
const ways = [
  ["check", "default"],
  ["check", "--json", "default"],
  ["check", join(root, "examples", "script.toml"), join(root, "examples", "mistakes.toml")],
  ["explain", "default", "socket(AF_INET)"],
  ["run", "--", "true"],
  ["run", "--dry-run", "--deny", "keyctl(operation == 0)", "--", "true"],
  ["run", "--help"],
  ["compile", "-o", "/dev/null", "default"],
  ["compile", "-o", "/dev/null", join(root, "bench", "policies", "docker.json")],
];

// A command that has ended ends Node, too; here more of them follow.
process.exit = () => {};
// A cache is for the flags that it was made with, and a command loads its parts with V8's usual ones.
require("node:v8").setFlagsFromString = () => {};

(async () => {
  process.argv = [process.execPath, main, ...ways[0]];
  const { build, parts, modules, load } = require(main);
  const go = async (way) => {
    process.argv = [process.execPath, main, ...way];
    modules.delete("./main.js");
    load("./main.js");
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  for (const way of ways) await go(way);
  // What a container's start waits for after a change, in the folder of one that is never started.
  const containers = mkdtempSync(join(tmpdir(), "callgate-warm-"));
  try {
    const container = join(containers, "warm");
    const config = join(container, "config");
    const profile = join(container, "profile");
    mkdirSync(container);
    writeFileSync(profile, "2\ndenylist\nreject_force_umount\n[all]\nkexec_load errno 1\n");
    writeFileSync(
      config,
      `lxc.seccomp.profile = ${profile}\nsyscall.deny = keyctl, socket(domain == AF_VSOCK)\n`,
    );
    await go(["lxc", "enable", "-P", containers, "warm"]);
    process.env.LXC_CONFIG_FILE = config;
    if (readFileSync(config, "utf8").includes("lxc.hook.pre-start"))
      await go(["lxc", "hook", "pre-start", container, "warm", "lxc", "pre-start"]);
  } finally {
    rmSync(containers, { recursive: true, force: true });
  }
  for (const [name, { script }] of parts)
    writeFileSync(
      join(folder, "caches", `${name}-${build}-${process.version}-${process.arch}.cache`),
      script.createCachedData(),
    );
})();
