// `npm run build:deb`: the Debian package, in dist/. It holds the command and what belongs to it (the library is for
// npm), installs under /usr/lib/callgate with a link in /usr/bin, and runs no scripts. Needs dpkg-deb and gzip.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);
const { version, description } = JSON.parse(readFileSync("package.json", "utf8"));
const machines = { x86_64: "amd64", aarch64: "arm64" };
/** Every file gets this time, so that the same sources give the same package. */
const time = Math.floor(statSync("package.json").mtimeMs / 1000);
const epoch = process.env.SOURCE_DATE_EPOCH ?? String(time);

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: callgate

Files: *
Copyright: 2026 The callgate authors
License: Apache-2.0
 On Debian systems the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.

Files: usr/lib/callgate/dist/cli/core.js
Copyright: 2026 The callgate authors
 2021-2026 Yosuke Ota (toml-eslint-parser)
 2018 OpenJS Foundation and other contributors (eslint-visitor-keys)
License: Apache-2.0 and MIT
 The part of the command with the TOML parser that it uses. For the parser:
 .
 Permission is hereby granted, free of charge, to any person obtaining a copy
 of this software and associated documentation files (the "Software"), to deal
 in the Software without restriction, including without limitation the rights
 to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 copies of the Software, and to permit persons to whom the Software is
 furnished to do so, subject to the following conditions: the above copyright
 notice and this permission notice shall be included in all copies or
 substantial portions of the Software.
 .
 THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
 SOFTWARE.
`;

const changelog = `callgate (${version}) unstable; urgency=medium

  * See /usr/share/doc/callgate/CHANGELOG.md.gz for what is new.

 -- The callgate authors <callgate@example.org>  ${new Date(Number(epoch) * 1000).toUTCString().replace("GMT", "+0000")}
`;

const overrides = `# The launcher has no C library at all: it is read by people, and runs before the program's own world exists.
callgate: statically-linked-binary [usr/lib/callgate/native/prebuilt/*]
# It starts when a policy is carried out; there is nothing to protect by a library's hardening.
callgate: hardening-no-fortify-functions [usr/lib/callgate/native/prebuilt/*]
`;

/** Puts one architecture's package into dist/ and returns its path. */
function build(machine, architecture) {
  const tree = mkdtempSync(join(tmpdir(), "callgate-deb-"));
  const at = (...parts) => join(tree, ...parts);
  const put = (file, content, mode = 0o644) => {
    mkdirSync(dirname(at(file)), { recursive: true });
    writeFileSync(at(file), content, { mode });
  };
  const copy = (from, to) => {
    mkdirSync(dirname(at(to)), { recursive: true });
    cpSync(from, at(to), { recursive: true });
  };
  const compress = (text) => gzipSync(text, { level: 9 });

  const home = "usr/lib/callgate";
  copy("bin/callgate", `${home}/bin/callgate`);
  for (const part of readdirSync(join("dist", "cli")).filter((name) => name !== "caches"))
    copy(join("dist", "cli", part), `${home}/dist/cli/${part}`);
  const folder = `linux-${machine}`;
  copy(join("native", "prebuilt", folder), `${home}/native/prebuilt/${folder}`);
  for (const name of ["SHA256SUMS", "FINGERPRINTS"]) {
    const sums = readFileSync(join("native", "prebuilt", name), "utf8").split("\n");
    put(`${home}/native/prebuilt/${name}`, `${sums.filter((line) => line.includes(folder)).join("\n")}\n`);
  }
  mkdirSync(at("usr/bin"), { recursive: true });
  symlinkSync("../lib/callgate/bin/callgate", at("usr/bin/callgate"));

  const doc = "usr/share/doc/callgate";
  put(`${doc}/copyright`, copyright);
  put(`${doc}/changelog.gz`, compress(changelog));
  put(`${doc}/CHANGELOG.md.gz`, compress(readFileSync("CHANGELOG.md")));
  copy("README.md", `${doc}/README.md`);
  copy("docs", `${doc}/docs`);
  copy("examples", `${doc}/examples`);
  put("usr/share/lintian/overrides/callgate", overrides);
  for (const page of readdirSync("dist/man")) {
    const section = page.split(".").at(-1);
    put(`usr/share/man/man${section}/${page}.gz`, compress(readFileSync(join("dist/man", page))));
  }
  copy("schema/policy.schema.json", "usr/share/callgate/policy.schema.json");
  for (const [from, to] of [
    ["callgate.bash", "usr/share/bash-completion/completions/callgate"],
    ["_callgate", "usr/share/zsh/vendor-completions/_callgate"],
    ["callgate.fish", "usr/share/fish/vendor_completions.d/callgate.fish"],
  ]) {
    copy(join("dist/completions", from), to);
  }

  // Modes as Debian wants them, whatever umask the checkout was made with.
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isProgram = /\/(bin\/callgate|prebuilt\/linux-\w+\/[a-z]+)$/.test(path);
    if (!entry.isSymbolicLink()) chmodSync(path, entry.isDirectory() || isProgram ? 0o755 : 0o644);
  }
  chmodSync(tree, 0o755);
  const size = Number(spawnSync("du", ["-sk", tree], { encoding: "utf8" }).stdout.split("\t")[0]);
  put(
    "DEBIAN/control",
    `Package: callgate
Version: ${version}
Architecture: ${architecture}
Maintainer: The callgate authors <callgate@example.org>
Installed-Size: ${size}
Depends: nodejs (>= 20.19)
Section: admin
Priority: optional
Description: decide which system calls a program may make
 ${description.replaceAll(/(.{1,76})(?: |$)/g, "$1\n ").trim()}
 .
 "callgate run -- ./untrusted" starts a program under a policy: a filter that
 is proved equal to its rules before the kernel gets it. "callgate check" finds
 every mistake of a policy, "callgate explain" says what it decides and why.
`,
  );
  const file = join("dist", `callgate_${version}_${architecture}.deb`);
  const result = spawnSync("dpkg-deb", ["--root-owner-group", "--build", tree, file], {
    encoding: "utf8",
    env: { ...process.env, SOURCE_DATE_EPOCH: epoch },
  });
  rmSync(tree, { recursive: true, force: true });
  if (result.status !== 0) {
    console.error(`callgate: dpkg-deb failed: ${result.stderr ?? result.error?.message}`);
    process.exit(1);
  }
  return file;
}

for (const [machine, architecture] of Object.entries(machines)) {
  if (existsSync(join("native", "prebuilt", `linux-${machine}`, "launcher")))
    console.log(build(machine, architecture));
  else
    console.error(
      `no package for ${architecture}: its launcher is not built (is ${machine}-linux-gnu-gcc installed?)`,
    );
}
