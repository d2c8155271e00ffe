/** What a call takes, and where on this ABI a filter finds it. */

/** Where an argument stands. */
export type Place =
  /** args[index], of which the low `width` bits count. */
  | { readonly kind: "word"; readonly index: number }
  /** A 64-bit value in two argument words of 32 bits. */
  | { readonly kind: "words"; readonly low: number; readonly high: number }
  /** The call has no such argument and behaves as if it were this value: x86's umount has no flags, so 0. */
  | { readonly kind: "constant"; readonly value: bigint }
  /** Behind a pointer, as in the old mmap of x86: no filter can see it. */
  | { readonly kind: "memory" };

export interface Argument {
  /** The manual page's name. */
  readonly name: string;
  /** The kernel's own name, and newer manual pages'. */
  readonly aliases: readonly string[];
  readonly kind: "integer" | "pointer";
  /** The bits that the kernel reads. */
  readonly width: 16 | 32 | 64;
  readonly signed: boolean;
  readonly place: Place;
}

/** The argument that goes by this name, whether it is the manual page's or an alias. */
export function argumentNamed(args: readonly Argument[], name: string): Argument | undefined {
  return args.find((arg) => arg.name === name) ?? args.find((arg) => arg.aliases.includes(name));
}
