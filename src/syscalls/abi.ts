/** The kernel's system-call interfaces that the tables cover. */

export type AbiName =
  | "x86_64"
  | "x86"
  | "x32"
  | "aarch64"
  | "arm"
  | "riscv64"
  | "ppc64le"
  | "s390x"
  | "loongarch64"
  | "mips64"
  | "mips64n32"
  | "mips"
  | "mips64el"
  | "mipsel64n32"
  | "mipsel";

/** A kernel, which may serve several ABIs. */
export type Machine =
  | "x86_64"
  | "aarch64"
  | "riscv64"
  | "ppc64le"
  | "s390x"
  | "loongarch64"
  | "mips64"
  | "mips64el";

export interface Abi {
  readonly name: AbiName;
  /** AUDIT_ARCH_*, as seccomp_data.arch has it; x86_64 and x32 share theirs and differ in `numberBase`. */
  readonly arch: number;
  /** The width of a register, and so of an argument word that a filter sees. */
  readonly bits: 32 | 64;
  /** The order of bytes, and so of the two halves of an argument that a filter sees. */
  readonly endian: "little" | "big";
  /** The ABI's first number: 0x4000_0000 for x32, 4000 and more for mips', else 0. */
  readonly numberBase: number;
  /** The kernel that serves it: what `all` means on a machine. */
  readonly machine: Machine;
  /** How many of the six argument words are what the kernel will read, seen from a filter; 6 where not said. */
  readonly visibleWords?: number;
}

/**
 * mips' o32 passes arguments in four registers and the rest on the stack, and older kernels (6.1 is one) read the
 * stack once for the call and once more for the filter: another thread can change it between. In an indirect call
 * (`syscall`, 4000) everything moves by one word, so the fourth argument stands there too.
 */
const o32 = { bits: 32, numberBase: 4000, visibleWords: 3 } as const;

/**
 * The ABI that a program of this machine is most often of comes first. A kernel's 31-bit companion s390 is not
 * here: Linux 7 has dropped it, and it is one of the other ABIs. Source: linux/audit.h, asm/unistd_x32.h and
 * asm/sgidefs.h of linux-libc-dev.
 */
export const abis: readonly Abi[] = [
  { name: "x86_64", arch: 0xc000_003e, bits: 64, endian: "little", numberBase: 0, machine: "x86_64" },
  { name: "x86", arch: 0x4000_0003, bits: 32, endian: "little", numberBase: 0, machine: "x86_64" },
  { name: "x32", arch: 0xc000_003e, bits: 64, endian: "little", numberBase: 0x4000_0000, machine: "x86_64" },
  { name: "aarch64", arch: 0xc000_00b7, bits: 64, endian: "little", numberBase: 0, machine: "aarch64" },
  { name: "arm", arch: 0x4000_0028, bits: 32, endian: "little", numberBase: 0, machine: "aarch64" },
  { name: "riscv64", arch: 0xc000_00f3, bits: 64, endian: "little", numberBase: 0, machine: "riscv64" },
  { name: "ppc64le", arch: 0xc000_0015, bits: 64, endian: "little", numberBase: 0, machine: "ppc64le" },
  { name: "s390x", arch: 0x8000_0016, bits: 64, endian: "big", numberBase: 0, machine: "s390x" },
  {
    name: "loongarch64",
    arch: 0xc000_0102,
    bits: 64,
    endian: "little",
    numberBase: 0,
    machine: "loongarch64",
  },
  { name: "mips64", arch: 0x8000_0008, bits: 64, endian: "big", numberBase: 5000, machine: "mips64" },
  { name: "mips64n32", arch: 0xa000_0008, bits: 64, endian: "big", numberBase: 6000, machine: "mips64" },
  { name: "mips", arch: 0x0000_0008, endian: "big", machine: "mips64", ...o32 },
  { name: "mips64el", arch: 0xc000_0008, bits: 64, endian: "little", numberBase: 5000, machine: "mips64el" },
  {
    name: "mipsel64n32",
    arch: 0xe000_0008,
    bits: 64,
    endian: "little",
    numberBase: 6000,
    machine: "mips64el",
  },
  { name: "mipsel", arch: 0x4000_0008, endian: "little", machine: "mips64el", ...o32 },
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
  return abiOfNode.get(globalThis.process?.arch ?? "");
}

/** What Node calls the machine that it was built for; `ppc64` is of either byte order. */
const abiOfNode: ReadonlyMap<string, AbiName> = new Map([
  ["x64", "x86_64"],
  ["ia32", "x86"],
  ["arm64", "aarch64"],
  ["arm", "arm"],
  ["riscv64", "riscv64"],
  ["s390x", "s390x"],
  ["loong64", "loongarch64"],
  ["mips", "mips"],
  ["mipsel", "mipsel"],
  ...(isLittleEndian() ? ([["ppc64", "ppc64le"]] as const) : []),
]);

function isLittleEndian(): boolean {
  return new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
}
