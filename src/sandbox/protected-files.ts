/**
 * Files that start programs later, outside of the sandbox: they stay as they are even where writing is granted. A
 * program that could write them would not need a hole in the kernel to get out.
 *
 * A file is protected by a read-only mount over it. Renaming a folder above it would take the mount along and make
 * room for another, so each folder between is a mount too, which the kernel does not let be renamed. What does not
 * exist cannot be mounted over: a start-up file that is not there can be made.
 */
import { join } from "node:path";
import { isWithin } from "./grants.ts";
import { entriesOf, statusOf } from "./lookups.ts";
import { packageRoot } from "./package-files.ts";

/** Below a home, or any folder that is granted. */
const names = [
  // shells
  ...".bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .inputrc".split(" "),
  ...".zshrc .zshenv .zprofile .zlogin .zlogout .kshrc .mkshrc .cshrc .tcshrc .login .logout".split(" "),
  ...".config/fish .config/nushell .config/zsh .config/bash .config/powershell".split(" "),
  // sessions
  ...".xprofile .xinitrc .xsession .xsessionrc .Xresources .pam_environment".split(" "),
  ...".config/autostart .config/systemd .config/environment.d .local/share/systemd".split(" "),
  ...".local/share/applications .local/share/dbus-1 .tmux.conf .config/tmux .screenrc".split(" "),
  // other machines
  ...".ssh/authorized_keys .ssh/authorized_keys2 .ssh/config .ssh/rc .ssh/environment .rhosts .shosts".split(
    " ",
  ),
  // direnv, editors, debuggers, tools that run what a folder says
  ...".envrc .direnvrc .config/direnv .vimrc .gvimrc .vim .exrc .nvimrc .config/nvim .config/vim".split(" "),
  ...".emacs .emacs.el .emacs.d .config/emacs .dir-locals.el .nanorc .config/helix .vscode .idea".split(" "),
  ...".gdbinit .gdbearlyinit .config/gdb .lldbinit .npmrc .yarnrc .yarnrc.yml .mailcap".split(" "),
  // git
  ...".gitconfig .config/git .git/hooks .git/config .git/config.worktree .gitmodules".split(" "),
  // callgate's own
  ".config/callgate",
];

/** How far down, and in how many folders, repositories are looked for. */
const mostDepth = 3;
const mostFolders = 2000;
const inRepository = [".git/hooks", ".git/config", ".git/config.worktree", ".envrc", ".vscode"];

/**
 * The protected files and folders that exist below a folder in which writing is granted.
 * @param own files that decide what callgate does: policies
 * @param always those too that do not exist now
 */
export function protectedBelow(
  folder: string,
  home: string,
  own: readonly string[],
  always = false,
): readonly string[] {
  const homes = isWithin(home, folder) && home !== folder ? [folder, home] : [folder];
  // Node is callgate's too: it is started to print reports as soon as the program has ended.
  const callgate = [process.execPath, ...["bin", "dist", "native"].map((name) => join(packageRoot(), name))];
  const candidates = [
    ...homes.flatMap((one) => names.map((name) => join(one, name))),
    ...repositories(folder).flatMap((one) => inRepository.map((name) => join(one, name))),
    ...own,
    ...callgate,
  ];
  return [...new Set(candidates)].filter(
    (path) => path !== folder && isWithin(path, folder) && (always || isThere(path)),
  );
}

/** A link cannot be mounted over: what it leads to is protected where it is itself named, or outside. */
function isThere(path: string): boolean {
  const status = statusOf(path);
  return status?.isFile() === true || status?.isDirectory() === true;
}

/** Folders with a `.git`, breadth first. */
function repositories(top: string): readonly string[] {
  const found: string[] = [];
  let level = [top];
  let visited = 0;
  for (let depth = 0; depth < mostDepth && level.length > 0; depth += 1) {
    const next: string[] = [];
    for (const folder of level) {
      visited += 1;
      if (visited > mostFolders) return found;
      for (const entry of entriesOf(folder)) {
        if (entry.name === ".git") found.push(folder);
        else if (entry.isFolder && entry.name !== "node_modules") next.push(join(folder, entry.name));
      }
    }
    level = next;
  }
  return found;
}
