// A pipeline of converters that only compute: bytes in, bytes out. They can read files (their libraries), but open none
// for writing, start no program and reach no network: what a manipulated document can make them do is little.
// Debian packages: gzip.
import { pipeline } from "node:stream/promises";
import { gzipSync } from "node:zlib";
import { prepare, spawn } from "callgate";

const converter = prepare({
  version: 1,
  name: "converter",
  extends: ["default"],
  syscalls: {
    rules: [
      "deny execve, execveat  # its own start is not concerned",
      "deny open(flags & (O_WRONLY | O_RDWR | O_CREAT)), openat(flags & (O_WRONLY | O_RDWR | O_CREAT)), creat",
      "errno(ENOSYS) openat2  # its flags are in memory: no filter sees them",
      "deny socket, socketpair",
    ],
  },
});
const document = gzipSync("the quick brown fox\njumps over the lazy dog\n");
const start = (command, args, stderr) =>
  spawn(command, args, { policy: converter, stdio: ["pipe", "pipe", stderr] });
const unpack = start("gzip", ["-dc"], "inherit");
const convert = start("tr", ["a-z", "A-Z"], "inherit");
const output = convert.stdout.setEncoding("utf8").toArray();
unpack.stdin.end(document);
await pipeline(unpack.stdout, convert.stdin);
console.log((await output).join("").trim());

// A converter that was taken over: it can still write its output, but no file and no program.
const hostile = start("sh", ["-c", "echo > /tmp/callgate-planted; /bin/true || echo nothing done"], "ignore");
console.log((await hostile.stdout.setEncoding("utf8").toArray()).join("").trim());
