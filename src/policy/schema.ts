/**
 * The JSON Schema of policy files, for editors: they then complete keys and words, and mark what cannot be right while
 * it is written. It is made of the reader's own keys and words; what stands in rules only `callgate check` can tell.
 */
import { abis, constantNames, errnoNumber, groups } from "../syscalls/index.ts";
import { builtinTexts } from "./builtin/texts.ts";
import { choices, layerNames, sectionKeys, sizeUnits, timeUnits, topKeys, versionPattern } from "./keys.ts";
import { actionWords } from "./parse-action.ts";

type Schema = Readonly<Record<string, unknown>>;
type Properties<Key extends string> = Readonly<Record<Key, Schema>>;

const text = (description: string): Schema => ({ type: "string", description });
const texts = (description: string): Schema => ({ type: "array", items: { type: "string" }, description });
const oneOf = (words: readonly string[], description: string): Schema => ({ enum: words, description });
const textOrTexts = (description: string): Schema => ({
  anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }],
  description,
});

/** A number with a unit, as the reader of limits takes it; 0 is no limit. */
function limit(units: Readonly<Record<string, number>>, description: string): Schema {
  const unit = Object.keys(units).join("");
  return {
    anyOf: [
      { type: "integer", minimum: 1 },
      { type: "string", pattern: `^0*[1-9][0-9]*${unit === "" ? "" : `[${unit}]?`}$` },
    ],
    description,
  };
}

function errnoNames(): readonly string[] {
  return constantNames().filter((name) => abis.some((abi) => errnoNumber(abi.name, name) !== undefined));
}

/** What is written in parentheses behind an action's name; none for most. */
function actionPattern(word: string): string {
  const number = "(0x[0-9A-Fa-f_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)";
  const data = `\\s*\\(\\s*${number}\\s*\\)`;
  switch (word) {
    case "errno":
      return `errno\\s*\\(\\s*(${errnoNames().join("|")}|${number})\\s*\\)`;
    case "trap":
      return `trap(${data})?`;
    case "trace":
      return `trace${data}`;
    default:
      return word;
  }
}

const actionReference: Schema = { $ref: "#/definitions/action" };
const action = (description: string): Schema => ({ allOf: [actionReference], description });

function actionSchema(): Schema {
  const plain = actionWords.filter((word) => !["errno", "trap", "trace"].includes(word));
  return {
    anyOf: [
      { enum: [...plain, "errno(ENOSYS)", "errno(EPERM)", "trap"] },
      { type: "string", pattern: `^\\s*(${actionWords.map(actionPattern).join("|")})\\s*$` },
    ],
  };
}

function section<Key extends string>(
  keys: readonly Key[],
  properties: Properties<Key>,
  description: string,
): Schema {
  // In the reader's order, and nothing but its keys.
  return {
    type: "object",
    description,
    properties: Object.fromEntries(keys.map((key) => [key, properties[key]])),
    additionalProperties: false,
  };
}

const rulesHelp =
  "Rules, one a line: ACTION SELECTOR, SELECTOR…  # reason. They are tried from top to bottom, and the first that matches decides.";

function sections(): Properties<keyof typeof sectionKeys> {
  const abiNames = ["native", ...abis.map((abi) => abi.name)];
  return {
    syscalls: section(
      sectionKeys.syscalls,
      {
        default: action("What a call gets when no rule matches; deny when it is not said."),
        baseline: {
          type: "string",
          pattern: versionPattern.source,
          examples: ["6.1"],
          description: "A Linux version: a call that appeared later needs a rule with its own name.",
        },
        newer: action(
          "What calls newer than the baseline, and unknown ones, get; errno(ENOSYS) when it is not said.",
        ),
        abis: {
          anyOf: [
            { enum: [...abiNames, "all"] },
            { type: "array", items: { enum: [...abiNames, "all"] }, minItems: 1 },
          ],
          description: "The ABIs that the rules are for; native when it is not said.",
        },
        "other-abis": action("What calls of all other ABIs get; kill when it is not said."),
        multiplexed: oneOf(
          choices.multiplexed,
          "What a condition means where socketcall or ipc hides the arguments: the strictest action, or the most lenient.",
        ),
        require: textOrTexts(`${rulesHelp} These refuse, and nothing overrides them.`),
        rules: textOrTexts(`${rulesHelp} Groups: ${groups.map((group) => group.name).join(", ")}.`),
      },
      "System calls.",
    ),
    files: section(
      sectionKeys.files,
      {
        read: texts(
          "Files and folders that the program may read; relative to the policy, ~ is the user's home.",
        ),
        write: texts("Files and folders that it may also change."),
      },
      "Files.",
    ),
    network: section(
      sectionKeys.network,
      {
        mode: oneOf(choices.mode, "No network, the host's, or only some ports."),
        ports: {
          type: "array",
          items: { type: "integer", minimum: 1, maximum: 65535 },
          description: "Ports that the program may connect to.",
        },
      },
      "The network.",
    ),
    limits: section(
      sectionKeys.limits,
      {
        memory: limit(sizeUnits, 'Memory: "512M".'),
        processes: limit({ "": 1 }, "Processes and threads."),
        "cpu-time": limit(timeUnits, 'Processor time: "30s".'),
        "wall-time": limit(timeUnits, 'Time from start to end: "10m".'),
        "file-size": limit(sizeUnits, 'The size of a file that it writes: "1G".'),
        "open-files": limit({ "": 1 }, "Open descriptors."),
      },
      "Limits of the whole program.",
    ),
    environment: section(
      sectionKeys.environment,
      {
        keep: texts("Variables that are passed on; a * at the end of a name matches any rest."),
        set: {
          type: "object",
          additionalProperties: { type: "string" },
          propertyNames: { pattern: "^[^=]+$" },
          description: "Variables that are set.",
        },
      },
      "The program's environment: without this section it is the caller's.",
    ),
    hardening: section(
      sectionKeys.hardening,
      {
        "new-code": oneOf(choices["new-code"], "deny: no memory that is writable and executable."),
        exec: oneOf(choices.exec, "files: nothing is executed from memory."),
        "missing-layers": {
          type: "array",
          items: { enum: layerNames },
          description: "Layers that may be absent; without it their absence stops the start.",
        },
      },
      "What makes exploits harder.",
    ),
  };
}

/** The schema, as an object for JSON. Draft 7, which editors of TOML understand. */
export function policySchema(): Schema {
  const parts = sections();
  const properties: Properties<(typeof topKeys)[number]> = {
    version: { const: 1, description: "The version of the policy language." },
    name: text("The policy's name, in messages."),
    extends: {
      anyOf: [{ $ref: "#/definitions/policy" }, { type: "array", items: { $ref: "#/definitions/policy" } }],
      description:
        "Policies whose rules come after this one's: built-in names, or paths relative to this file.",
    },
    expect: textOrTexts(
      "What callgate check proves of this policy: deny keyctl, allow socket(domain == AF_UNIX), …",
    ),
    ...parts,
  };
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "callgate policy",
    description: "Which system calls a program may make. callgate check finds what a schema cannot.",
    type: "object",
    properties: Object.fromEntries(topKeys.map((key) => [key, properties[key]])),
    additionalProperties: false,
    minProperties: 1,
    // Otherwise the policy's meaning would change with every new kernel; a parent may have the baseline.
    if: {
      required: ["syscalls"],
      properties: {
        syscalls: { required: ["default"], properties: { default: { enum: ["allow", "log"] } } },
      },
      not: { required: ["extends"] },
    },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema; nobody awaits this.
    then: { properties: { syscalls: { required: ["baseline"] } } },
    definitions: {
      action: actionSchema(),
      policy: { anyOf: [{ enum: Object.keys(builtinTexts) }, { type: "string", minLength: 1 }] },
    },
  };
}
