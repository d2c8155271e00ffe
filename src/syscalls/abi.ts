/** The kernel's system-call interfaces that the tables cover. */

export type AbiName = "x86_64" | "x86" | "x32" | "aarch64";

export interface Abi {
  readonly name: AbiName;
  /** AUDIT_ARCH_*, as seccomp_data.arch has it; x86_64 and x32 share theirs and differ in `numberBase`. */
  readonly arch: number;
  /** The width of a register, and so of an argument word that a filter sees. */
  readonly bits: 32 | 64;
  readonly endian: "little" | "big";
  /** What is added to every number: 0x4000_0000 for x32, else 0. */
  readonly numberBase: number;
  /** The kernel that serves it. */
  readonly machine: "x86_64" | "aarch64";
}

/**
 * In the order in which constants.ts lists values. Source: linux/audit.h and asm/unistd_x32.h of
 * linux-libc-dev.
 */
export const abis: readonly Abi[] = [
  { name: "x86_64", arch: 0xc000_003e, bits: 64, endian: "little", numberBase: 0, machine: "x86_64" },
  { name: "x86", arch: 0x4000_0003, bits: 32, endian: "little", numberBase: 0, machine: "x86_64" },
  { name: "x32", arch: 0xc000_003e, bits: 64, endian: "little", numberBase: 0x4000_0000, machine: "x86_64" },
  { name: "aarch64", arch: 0xc000_00b7, bits: 64, endian: "little", numberBase: 0, machine: "aarch64" },
];

/** The ABI of that name, or undefined where the tables have none. */
export function abiByName(name: string): Abi | undefined {
  return abis.find((abi) => abi.name === name);
}

/**
 * The ABI of the running program: that of the Node that runs it, or undefined in a browser or on a machine
 * that the tables do not cover.
 */
export function hostAbi(): AbiName | undefined {
  switch (globalThis.process?.arch) {
    case "x64":
      return "x86_64";
    case "ia32":
      return "x86";
    case "arm64":
      return "aarch64";
    default:
      return undefined;
  }
}
