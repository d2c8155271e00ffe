/** What to do: in a sentence, and for --fix as commands and files. callgate prints them and changes nothing. */

export interface Fix {
  /** One sentence. */
  readonly advice: string;
  /** Files to write, as root. */
  readonly files?: readonly { readonly path: string; readonly text: string }[];
  /** Commands to give, as root where files are written. */
  readonly commands?: readonly string[];
}

/** A setting of the kernel, now and after the next start. */
export function settingFix(name: string, value: string): Fix {
  const path = `/etc/sysctl.d/60-callgate.conf`;
  return {
    advice: `set ${name} = ${value} (sudo sysctl ${name}=${value}; doctor --fix prints how it stays)`,
    files: [{ path, text: `${name} = ${value}\n` }],
    commands: [`sysctl --load ${path}`],
  };
}

/**
 * Ubuntu 24.04 and newer give rights in user namespaces only to programs that an AppArmor profile names. The profile
 * is for the launcher alone; what it starts can make namespaces only as far as the policy lets it.
 */
export function appArmorFix(launcher: string): Fix {
  const path = "/etc/apparmor.d/callgate";
  return {
    advice: "give the launcher an AppArmor profile with userns: doctor --fix prints it",
    files: [{ path, text: appArmorProfile(launcher) }],
    commands: [`apparmor_parser --replace ${path}`],
  };
}

export function appArmorProfile(launcher: string): string {
  // In a path of a profile, quotes hold spaces together; its own special characters are escaped.
  const pattern = launcher.replaceAll(/["\\*?[\]{}^@]/g, "\\$&");
  return `abi <abi/4.0>,
include <tunables/global>

profile callgate "${pattern}" flags=(unconfined) {
  userns,

  include if exists <local/callgate>
}
`;
}

/** All fixes as a text for a shell, to be read first. */
export function fixScript(fixes: readonly { readonly id: string; readonly fix: Fix }[]): string {
  const parts = fixes.map(({ id, fix }) => {
    const files = (fix.files ?? []).map(({ path, text }) => `cat >${path} <<'END'\n${text}END\n`);
    const commands = (fix.commands ?? []).map((command) => `${command}\n`);
    return [`# ${id}: ${fix.advice}\n`, ...files, ...commands].join("");
  });
  return parts.join("\n");
}
