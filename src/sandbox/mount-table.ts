/** The mounts that a process sees, as the kernel lists them. */

export interface Mount {
  readonly id: string;
  /** MAJOR:MINOR */
  readonly device: string;
  /** What of its file system is mounted. */
  readonly root: string;
  /** Where. */
  readonly point: string;
  readonly options: readonly string[];
  /** Of the file system, and what it was mounted with itself. */
  readonly type: string;
  readonly superOptions: readonly string[];
}

/** @param text what /proc/self/mountinfo says; see proc_pid_mountinfo(5) */
export function readMountTable(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const [mount = "", fileSystem = ""] = line.split(" - ");
    const [id = "", , device = "", root = "", point = "", options = ""] = mount.split(" ");
    const [type = "", , superOptions = ""] = fileSystem.split(" ");
    if (options === "" || type === "") return [];
    return [
      {
        ...{ id, device, root: unescaped(root), point: unescaped(point), options: options.split(",") },
        ...{ type, superOptions: superOptions.split(",") },
      },
    ];
  });
}

/** The kernel writes spaces, tabs, newlines and backslashes in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
