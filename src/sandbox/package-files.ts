/** Where this package's own files are: the command, the launcher, the probe. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The package's folder: the nearest above this file that has the command in it. */
export function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "bin", "callgate"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error("callgate's own files are not beside its code: install it again");
    folder = above;
  }
  return folder;
}

/** A native program of this package for this machine; it may not have been built. */
export function nativeProgram(
  name: "launcher" | "probe" | "tracer" | "watcher" | "doctor" | "hook" | "proxy",
): string {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  return join(packageRoot(), "native", "prebuilt", `linux-${machine}`, name);
}
