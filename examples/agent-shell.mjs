// A shell for an agent (or a REPL): one long-lived bash under a policy that is fed a command at a time.
// Debian packages: bash, git.
import { createInterface } from "node:readline";
import { prepare, spawn } from "callgate";

const plan = prepare({
  version: 1,
  extends: ["default"],
  syscalls: { rules: "deny socket(domain in {AF_INET, AF_INET6})  # it works here, and nowhere else" },
});
const shell = spawn("bash", ["--noprofile", "--norc"], { policy: plan, stdio: ["pipe", "pipe", "ignore"] });
const lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();

/** Runs one command in the shell; where it ends, the shell prints a mark that no command can know. */
async function run(command) {
  const mark = crypto.randomUUID();
  shell.stdin.write(`${command}\nprintf '\\n%s %s\\n' ${mark} $?\n`);
  const output = [];
  for (;;) {
    const { value: line = mark } = await lines.next();
    if (line.startsWith(mark)) return { output: output.join("\n").trim(), status: Number(line.split(" ")[1] ?? 1) };
    output.push(line);
  }
}

for (const command of ["cd /usr; x=7", "pwd; echo $((x * 6))", "git --version > /dev/null", "exec 3<> /dev/tcp/127.0.0.1/80"]) {
  const { output, status } = await run(command);
  console.log(`$ ${command}\n${output === "" ? "" : `${output}\n`}[${status}]`);
}
shell.stdin.end("exit\n");
