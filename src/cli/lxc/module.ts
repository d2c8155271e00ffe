/** What all of `callgate lxc …` have in common: finding the containers that are meant. */
import {
  type Container,
  ContainerError,
  containerNamed,
  containersIn,
  lxcpathOf,
} from "../../lxc/container.ts";
import { hasOption, type ParsedArguments, UsageError, valueOfOption } from "../arguments.ts";
import type { CommandModule } from "../command.ts";
import type { LxcCommand } from "./command.ts";

/** A container that is not there is wrong usage. */
export function moduleOf(command: LxcCommand): CommandModule {
  return {
    main: async (parsed) => {
      try {
        return await command({
          parsed,
          operands: parsed.operands,
          lxcpath: () => lxcpathOf(valueOfOption(parsed, "lxcpath")),
          containers: (names) => selectContainers(parsed, names),
        });
      } catch (error) {
        if (error instanceof ContainerError) throw new UsageError(error.message);
        throw error;
      }
    },
  };
}

/** The containers that are named, or with --all every one. */
function selectContainers(parsed: ParsedArguments, names: readonly string[]): readonly Container[] {
  const lxcpath = lxcpathOf(valueOfOption(parsed, "lxcpath"));
  const given = valueOfOption(parsed, "name");
  const wanted = given === undefined ? names : [given, ...names];
  if (hasOption(parsed, "all")) {
    if (wanted.length > 0) throw new UsageError("--all and a name cannot both be had");
    return containersIn(lxcpath);
  }
  if (wanted.length === 0) throw new UsageError("the container's name is missing");
  return wanted.map((name) => containerNamed(name, lxcpath));
}
