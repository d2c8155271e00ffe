import { nearest } from "../diagnostics/index.ts";
import { type AbiName, abiByName, abis } from "../syscalls/index.ts";

/** What other tools call the ABIs. */
const elsewhere: Readonly<Record<string, AbiName>> = {
  amd64: "x86_64",
  x64: "x86_64",
  i386: "x86",
  i686: "x86",
  ia32: "x86",
  x86_32: "x86",
  arm64: "aarch64",
  armv8: "aarch64",
  armhf: "arm",
  armel: "arm",
  armv7l: "arm",
  arm32: "arm",
  riscv: "riscv64",
  ppc64el: "ppc64le",
  powerpc64le: "ppc64le",
  loong64: "loongarch64",
  loongarch: "loongarch64",
  mipsel64: "mips64el",
  mipso32: "mips",
  mipselo32: "mipsel",
  n32: "mips64n32",
};

/** @throws TypeError for a name that no ABI has */
export function requireAbi(name: unknown): asserts name is AbiName {
  if (typeof name === "string" && abiByName(name) !== undefined) return;
  throw new TypeError(`there is no ABI ${JSON.stringify(name)}: ${abiAdvice(String(name))}`);
}

/** What stands beside the name of an ABI that does not exist: the one that was meant, or all there are. */
export function abiAdvice(name: string, others: readonly string[] = []): string {
  const names = [...others, ...abis.map((abi) => abi.name)];
  const known = Object.hasOwn(elsewhere, name.toLowerCase()) ? elsewhere[name.toLowerCase()] : undefined;
  const guess = known ?? nearest(name, names);
  return guess === undefined ? `ABIs are ${names.join(", ")}` : `did you mean ${guess}?`;
}
