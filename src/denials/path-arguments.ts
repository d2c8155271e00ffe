/** Which calls have a path, and of what: the argument that it is relative to, where there is one. */
export const pathArguments: Readonly<
  Record<string, readonly (readonly [path: string, directory?: string])[]>
> = {
  open: [["pathname"]],
  creat: [["pathname"]],
  openat: [["pathname", "dirfd"]],
  openat2: [["pathname", "dirfd"]],
  execve: [["pathname"]],
  execveat: [["pathname", "dirfd"]],
  mkdir: [["pathname"]],
  mkdirat: [["pathname", "dirfd"]],
  rmdir: [["pathname"]],
  unlink: [["pathname"]],
  unlinkat: [["pathname", "dirfd"]],
  rename: [["oldpath"], ["newpath"]],
  renameat: [
    ["oldpath", "olddirfd"],
    ["newpath", "newdirfd"],
  ],
  renameat2: [
    ["oldpath", "olddirfd"],
    ["newpath", "newdirfd"],
  ],
  link: [["newpath"]],
  linkat: [["newpath", "newdirfd"]],
  symlink: [["linkpath"]],
  symlinkat: [["linkpath", "newdirfd"]],
  mknod: [["pathname"]],
  mknodat: [["pathname", "dirfd"]],
  truncate: [["path"]],
  chmod: [["pathname"]],
  fchmodat: [["pathname", "dirfd"]],
};
