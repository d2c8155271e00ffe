// What stands behind socketcall and ipc, after net/socket.c and ipc/syscall.c.

/** net.h: SYS_SOCKET is 1, and so on. */
const socketCalls =
  "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg".split(
    " ",
  );

/** Calls that some ABIs have behind socketcall only: prototypes as of x86_64's, or of their manual pages. */
const onlyThere = { accept: "x86_64", send: "sendto", recv: "recvfrom" };

/**
 * ipc(call, first, second, third, ptr, fifth): which word holds which argument. What is not named lies in
 * memory or depends on the version bits above the selector: msgrcv's msgp and msgtyp (behind ptr with version
 * 0), semctl's arg (behind ptr), and the cmd of the three ctl calls, to which callers add IPC_64 (0x100).
 */
const ipcCalls = [
  [1, "semop", { semid: 1, sops: 4, nsops: 2 }],
  [2, "semget", { key: 1, nsems: 2, semflg: 3 }],
  [3, "semctl", { semid: 1, semnum: 2 }],
  [4, "semtimedop", { semid: 1, sops: 4, nsops: 2, timeout: 5 }],
  [11, "msgsnd", { msqid: 1, msgp: 4, msgsz: 2, msgflg: 3 }],
  [12, "msgrcv", { msqid: 1, msgsz: 2, msgflg: 3 }],
  [13, "msgget", { key: 1, msgflg: 2 }],
  [14, "msgctl", { msqid: 1, buf: 4 }],
  [21, "shmat", { shmid: 1, shmaddr: 4, shmflg: 2 }],
  [22, "shmdt", { shmaddr: 4 }],
  [23, "shmget", { key: 1, size: 2, shmflg: 3 }],
  [24, "shmctl", { shmid: 1, buf: 4 }],
];

/** What is special: s390's ipc has no sixth word, mips o32's words from the fourth on are out of sight. */
const machines = {
  x86: { word: 32 },
  ppc64le: { word: 64 },
  s390x: { word: 64, semtimedop: { timeout: 3 } },
  mips: { word: 32, visibleWords: 3 },
};

/** Rows: ABI, multiplexer, index of the selector, its mask, code, name, arguments. */
export function multiplexedRows(argumentsOf, writeArguments) {
  return Object.entries(machines).flatMap(([abi, machine]) =>
    rowsOf(abi, machine, argumentsOf, writeArguments),
  );
}

function rowsOf(abi, machine, argumentsOf, writeArguments) {
  const { word, visibleWords = 6 } = machine;
  const narrow = (arg) => ({ ...arg, width: Math.min(arg.width, word), word });
  const rows = socketCalls.map((name, index) => {
    const like = onlyThere[name];
    let args = argumentsOf(abi, name) ?? undefined;
    if (like === "x86_64") args ??= argumentsOf("x86_64", name);
    else if (like !== undefined) args ??= argumentsOf(abi, like);
    if (args === undefined) throw new Error(`no arguments for ${name} behind socketcall`);
    // send and recv are sendto and recvfrom with no address.
    const place = (i) => (name in { send: 1, recv: 1 } && i >= 4 ? { value: 0 } : "memory");
    return `${abi} socketcall 0 0xffffffff ${index + 1} ${name} ${writeArguments(args.map((arg, i) => ({ ...narrow(arg), place: place(i) })))}`;
  });
  for (const [code, name, generic] of ipcCalls) {
    const words = { ...generic, ...(machine[name] ?? {}) };
    // x86 has semop and semtimedop only behind ipc (and semtimedop_time64): the 64-bit ABI's names hold.
    const args = argumentsOf(abi, name) ?? argumentsOf("x86_64", name);
    for (const known of Object.keys(words)) {
      if (!args.some((arg) => arg.name === known)) throw new Error(`${name} has no argument ${known}`);
    }
    const placed = args.map((arg) => ({
      ...narrow(arg),
      place: words[arg.name] < visibleWords ? { index: words[arg.name] } : "memory",
    }));
    rows.push(`${abi} ipc 0 0xffff ${code} ${name} ${writeArguments(placed)}`);
  }
  return rows;
}
