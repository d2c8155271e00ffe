/** The plan that anybody can follow: docs/demo.md has the same commands, and a test compares them. */
export interface DemoStep {
  readonly title: string;
  readonly commands: readonly {
    /** As one types it; $DIR is an empty folder that every user may enter. */
    readonly command: string;
    /** What has to be in its output. */
    readonly shows?: RegExp;
  }[];
}

const at = '-P "$DIR" demo';

export const demoSteps: readonly DemoStep[] = [
  {
    title: "A container",
    commands: [
      {
        command:
          "printf 'lxc.net.0.type = empty\\nlxc.apparmor.profile = unconfined\\nlxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\\n' > \"$DIR/base.conf\"",
      },
      { command: 'lxc-create -P "$DIR" -n demo -t busybox -f "$DIR/base.conf" > "$DIR/create.log"' },
      { command: 'cp "$PROBE" "$DIR/demo/rootfs/probe"' },
    ],
  },
  {
    title: "Two lines in its own configuration: not keyctl, and nothing newer than Linux 5.0",
    commands: [
      { command: "printf 'syscall.deny = keyctl\\nsyscall.baseline = 5.0\\n' >> \"$DIR/demo/config\"" },
      { command: `callgate lxc enable ${at}`, shows: /demo: enabled[\s\S]*io_uring_setup/ },
      { command: `callgate lxc start ${at}` },
    ],
  },
  {
    title: "Inside, both are refused, and everything else works",
    commands: [
      { command: `callgate lxc attach ${at} -- /probe keyctl`, shows: /^keyctl: EPERM/m },
      { command: `callgate lxc attach ${at} -- /probe io_uring_setup`, shows: /^io_uring_setup: ENOSYS/m },
      { command: `callgate lxc attach ${at} -- /probe mount`, shows: /^mount: ok/m },
      { command: `callgate lxc explain ${at} keyctl --abi native`, shows: /config:\d+ {2}deny keyctl/ },
    ],
  },
  {
    title: "The kernel has exactly that",
    commands: [{ command: `callgate lxc verify ${at}`, shows: /^demo: proved/m }],
  },
  {
    title: "Without the lines, both are allowed again",
    commands: [
      { command: 'lxc-stop -P "$DIR" -n demo -k' },
      { command: "sed -i '/^syscall/d' \"$DIR/demo/config\"" },
      { command: `callgate lxc enable ${at}`, shows: /demo: enabled/ },
      { command: `callgate lxc start ${at}` },
      { command: `callgate lxc attach ${at} -- /probe keyctl`, shows: /^keyctl: ok/m },
      { command: `callgate lxc attach ${at} -- /probe io_uring_setup`, shows: /^io_uring_setup: ok/m },
      { command: `callgate lxc verify ${at}`, shows: /^demo: proved/m },
    ],
  },
  {
    title: "A mistake stops the start",
    commands: [
      { command: 'lxc-stop -P "$DIR" -n demo -k' },
      { command: "echo 'syscall.deny = keyclt' >> \"$DIR/demo/config\"" },
      {
        command: `callgate lxc start ${at} || echo "not started"`,
        shows: /did you mean keyctl\?[\s\S]*not started/,
      },
    ],
  },
];
