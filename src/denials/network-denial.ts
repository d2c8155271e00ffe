/** What the network without a way out has refused. */

export interface NetworkDenial {
  readonly layer: "network";
  readonly count: number;
  readonly errno: string;
  readonly permit: string;
}

/** Of the network's refusals the kernel only keeps a number: packets for which a network without a way out had none. */
export function networkDenial(count: number): NetworkDenial {
  return { layer: "network", count, errno: "ENETUNREACH", permit: "--net" };
}

/** Three lines, as `describeDenial` has them. */
export function describeNetwork({ count, errno, permit }: NetworkDenial): string {
  return [
    `denied  network: packets or connections to other machines → ${errno}${count > 1 ? `   ×${count}` : ""}`,
    "        the program has a network of its own, with no way out",
    `        to permit:  ${permit}, or in the policy [network] mode = "host"`,
  ]
    .map((line) => `${line}\n`)
    .join("");
}
