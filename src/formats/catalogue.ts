/**
 * The formats that callgate knows, for `callgate formats`. A row says what is true of the command line: `example` is
 * a text that is read without being told its format, and the tests read it.
 */
export interface FormatFacts {
  /** As `--from` and `--to` have it. */
  readonly name: string;
  /** What it is, in one line. */
  readonly summary: string;
  readonly reads: boolean;
  readonly writes: boolean;
  /** A small policy in this format. */
  readonly example: string;
}

export const formats: readonly FormatFacts[] = [
  {
    name: "toml",
    summary: "callgate's own policies",
    reads: true,
    writes: true,
    example: 'version = 1\n[syscalls]\nrules = "allow @default"\n',
  },
  {
    name: "json",
    summary: "the same as JSON",
    reads: true,
    writes: true,
    example: '{ "version": 1, "syscalls": { "rules": "allow @default" } }\n',
  },
  {
    name: "lxc",
    summary: "profiles of LXC (lxc.seccomp.profile), read as LXC means them",
    reads: true,
    writes: true,
    example: "2\ndenylist\n[all]\nkeyctl errno 38\n",
  },
  {
    name: "oci",
    summary: "seccomp profiles of runc, crun, moby and podman, read as runc means them",
    reads: true,
    writes: false,
    example:
      '{ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW" }] }\n',
  },
];
