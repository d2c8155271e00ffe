/**
 * Reads policies from text.
 *
 *     const { policy, diagnostics } = readPolicy(`
 *     version = 1
 *     [syscalls]
 *     default = "deny"
 *     rules = '''
 *     allow @basic-io, exit_group
 *     deny  socket(domain != AF_UNIX)   # it talks to nobody
 *     '''`);
 *
 * A file becomes a *document* (`toml.ts`, `json.ts`, `object.ts`: data with places), the document a *layer*
 * (`policy/read.ts`), and the layer with the layers that it extends a policy.
 */
import { type Diagnostic, hasErrors, type Source, type Span } from "../diagnostics/index.ts";
import { requireAbi } from "../policy/abi-name.ts";
import { builtinTexts } from "../policy/builtin/texts.ts";
import type { ParsedDocument, TableNode } from "../policy/document.ts";
import { emptyLayer, joinLayers, needsBaseline, type PolicyLayer, policyOfLayer } from "../policy/layer.ts";
import { missingBaseline, type Reference, readLayer } from "../policy/read.ts";
import { resolve as resolveNames } from "../policy/resolve.ts";
import type { Policy, Rule } from "../policy/types.ts";
import { type AbiName, hostAbi, newestVersion, parseVersion } from "../syscalls/index.ts";
import { parseJsonDocument } from "./json.ts";
import { unfitText } from "./limits.ts";
import { looksLikeProfile, readLxcProfile } from "./lxc-profile/read.ts";
import { documentFromObject, type PolicyDocument } from "./object.ts";
import { findOciProfile, readOciProfile } from "./oci.ts";
import { parseTomlDocument } from "./toml.ts";

/** The formats of other programs: how each is known in a document, and read from there. */
const foreignFormats = [{ name: "oci", find: findOciProfile, read: readOciProfile }] as const;

/** A policy that another one extends: what `resolve` finds for a path. */
export interface FoundPolicy {
  readonly text: string;
  readonly filename: string;
}

/** The formats that are read. */
export const readFormats = ["toml", "json", "lxc", "oci"] as const;

export interface ReadOptions {
  /** Found by content where it is not given. */
  readonly format?: (typeof readFormats)[number];
  /** The name in messages, and what paths in `extends` are relative to. */
  readonly filename?: string;
  /**
   * Finds the policies that `extends` names by path, relative to the file that names them; a string says why
   * there is none. Without it only built-in policies can be extended.
   */
  readonly resolve?: (path: string, from: string | undefined) => FoundPolicy | string;
  /** What `native` means; by default this machine's ABI. */
  readonly target?: AbiName;
  /** The kernel's version, to be offered where a baseline is missing, and what an OCI profile's minKernel asks for. */
  readonly kernel?: string;
  /** The container's bounding set, for an OCI profile's includes and excludes; by default Docker's default set. */
  readonly capabilities?: readonly string[];
}

export interface ReadResult {
  /** Undefined when there are errors. */
  readonly policy: Policy | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** How a text without a filename is called in messages. */
export const unnamedPolicy = "policy";

/** The built-in policies' names. */
export function builtinPolicies(): readonly string[] {
  return Object.keys(builtinTexts);
}

/** A built-in policy's text, by its name. */
export function builtinPolicyText(name: string): string | undefined {
  return Object.hasOwn(builtinTexts, name) ? builtinTexts[name] : undefined;
}

/** Reads a policy from text (TOML or JSON) or from an object of the same shape. */
export function readPolicy(text: string | PolicyDocument, options: ReadOptions = {}): ReadResult {
  const { policy, diagnostics } = readPartly(text, options);
  return { policy, diagnostics };
}

/** What was read, and what can be told of a policy of which only rules have mistakes. */
export interface PartlyRead extends ReadResult {
  /**
   * The policy without the rules that have mistakes, where nothing else has one: to look at, never to be enforced.
   * What is covered by earlier rules here is covered when the others are mended too.
   */
  readonly sound?: Policy;
}

/** As `readPolicy`, and what is left where only rules have mistakes. */
export function readPartly(text: string | PolicyDocument, options: ReadOptions = {}): PartlyRead {
  const { format, target } = options;
  if (format !== undefined && !readFormats.includes(format))
    throw new TypeError(
      `there is no format ${JSON.stringify(format)}: formats are ${readFormats.join(", ")}`,
    );
  if (target !== undefined) requireAbi(target);
  if (typeof text === "string" && isLxcProfile(text, options.format)) {
    const source: Source = { name: options.filename ?? unnamedPolicy, text };
    const unfit = unfitText(source);
    if (unfit !== undefined) return { policy: undefined, diagnostics: [unfit] };
    return readLxcProfile(source, { target: options.target ?? hostAbi() ?? "x86_64" });
  }
  const diagnostics: Diagnostic[] = [];
  const layers = readWithParents(
    text,
    options.filename ?? unnamedPolicy,
    options.filename,
    options,
    [],
    new Set(),
    diagnostics,
  );
  // Names are looked up even where other mistakes were found, so that all are reported at once; a text that could
  // not be parsed at all has left an empty layer, and its error stands alone.
  if (layers.some((layer) => layer === emptyLayer)) return { policy: undefined, diagnostics };
  const joined = joinLayers(layers);
  // A profile of another format says itself what it means: it is for one table of calls, the one it was read with.
  // Where a baseline is written and cannot be read, that is the mistake.
  if (needsBaseline(joined) && !layers.some((layer) => layer.isForeign || layer.writesBaseline)) {
    const offered =
      (options.kernel === undefined ? undefined : parseVersion(options.kernel)) ?? newestVersion;
    diagnostics.push(
      missingBaseline(offered, layers.find((layer) => layer.default !== undefined)?.defaultSpan),
    );
  }
  const policy = policyOfLayer(joined);
  const aboutRules = new Set(layers.flatMap((layer) => layer.aboutRules ?? []));
  const isSoundBesides = !hasErrors(diagnostics.filter((one) => !aboutRules.has(one)));
  const { diagnostics: aboutNames } = resolveNames(policy, options.target ?? hostAbi() ?? "x86_64");
  diagnostics.push(...aboutNames);
  const ordered = inTextOrder(diagnostics);
  if (!hasErrors(ordered)) return { policy, diagnostics: ordered };
  const sound = isSoundBesides ? withoutRulesOf(policy, aboutNames) : undefined;
  return { policy: undefined, diagnostics: ordered, ...(sound === undefined ? {} : { sound }) };
}

/** A policy without the rules in whose text an error stands; undefined where one stands nowhere. */
function withoutRulesOf(policy: Policy, diagnostics: readonly Diagnostic[]): Policy | undefined {
  const places = diagnostics.filter((one) => one.severity === "error").map((one) => one.span);
  if (places.some((place) => place === undefined)) return undefined;
  const isSound = ({ span: rule }: Rule): boolean =>
    rule !== undefined &&
    !places.some(
      (place) => place?.source === rule.source && place.start >= rule.start && place.start <= rule.end,
    );
  const { require, rules, ...others } = policy.syscalls;
  const syscalls = { ...others, require: require.filter(isSound), rules: rules.filter(isSound) };
  return { version: policy.version, syscalls };
}

/** Whether a text is a profile of LXC's, and not a policy of our own. */
export function isLxcProfile(text: string, format?: ReadOptions["format"]): boolean {
  return format === undefined ? looksLikeProfile(text) : format === "lxc";
}

/** File by file as they first occur, each from top to bottom; what has no place comes first. */
export function inTextOrder(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const sources = [...new Set(diagnostics.map((one) => one.span?.source))];
  const rank = (one: Diagnostic): number => (one.span === undefined ? -1 : sources.indexOf(one.span.source));
  return [...diagnostics].sort((a, b) => rank(a) - rank(b) || (a.span?.start ?? 0) - (b.span?.start ?? 0));
}

/** A profile of another program, known by its content. */
function readForeign(
  root: TableNode,
  options: ReadOptions,
): { readonly layer: PolicyLayer; readonly diagnostics: readonly Diagnostic[] } | undefined {
  const target = options.target ?? hostAbi() ?? "x86_64";
  for (const { find, read } of foreignFormats) {
    const profile = find(root);
    if (profile === undefined) continue;
    const { capabilities } = options;
    return read(profile, {
      target,
      // The kernel is asked for its release when this is read, and not before.
      get kernel() {
        return options.kernel;
      },
      ...(capabilities === undefined ? {} : { capabilities }),
    });
  }
  return undefined;
}

interface PlacedLayer extends PolicyLayer {
  readonly defaultSpan?: Span;
  /** Read from another program's format. */
  readonly isForeign?: boolean;
  readonly aboutRules?: readonly Diagnostic[];
  /** Whether a baseline stands there, be it one or not. */
  readonly writesBaseline?: boolean;
}

/** The layer of a text and, depth first, those of the policies it extends. */
function readWithParents(
  text: string | PolicyDocument,
  name: string,
  filename: string | undefined,
  options: ReadOptions,
  stack: readonly string[],
  seen: Set<string>,
  diagnostics: Diagnostic[],
): readonly PlacedLayer[] {
  const document = parseDocument(text, name, stack.length === 0 ? options.format : undefined);
  diagnostics.push(...document.diagnostics);
  if (document.root === undefined) return [emptyLayer];
  const foreign = readForeign(document.root, options);
  if (foreign !== undefined) {
    diagnostics.push(...foreign.diagnostics);
    return [{ ...foreign.layer, isForeign: true }];
  }
  const { layer: written, extends: references, diagnostics: found, aboutRules } = readLayer(document.root);
  const layer = { ...(filename === undefined ? written : besideFile(written, filename)), aboutRules };
  diagnostics.push(...found);
  const syscalls = document.root.entries.get("syscalls")?.value;
  const defaultSpan = syscalls?.kind === "table" ? syscalls.entries.get("default")?.value.span : undefined;
  const writesBaseline = syscalls?.kind === "table" && syscalls.entries.has("baseline");
  const placed = { ...layer, writesBaseline, ...(defaultSpan === undefined ? {} : { defaultSpan }) };
  const path = [...stack, name];
  return [
    placed,
    ...references.flatMap((reference) => readParent(reference, filename, options, path, seen, diagnostics)),
  ];
}

/**
 * Paths in a policy are relative to its file. The `/./` says where the folder that is meant ends: a link that leads out of
 * it is another grant than the one that is written.
 */
function besideFile(layer: PolicyLayer, filename: string): PolicyLayer {
  const folder = filename.slice(0, filename.lastIndexOf("/") + 1);
  if (layer.files === undefined || folder === "") return layer;
  const place = (path: string): string =>
    /^(?:\/|~(?:\/|$))/.test(path) || path === "" ? path : `${folder}./${path}`;
  return { ...layer, files: { read: layer.files.read.map(place), write: layer.files.write.map(place) } };
}

function readParent(
  reference: Reference,
  from: string | undefined,
  options: ReadOptions,
  stack: readonly string[],
  seen: Set<string>,
  diagnostics: Diagnostic[],
): readonly PlacedLayer[] {
  const fail = (id: string, message: string, label?: string): readonly PlacedLayer[] => {
    const place = reference.span === undefined ? {} : { span: reference.span };
    diagnostics.push({ id, severity: "error", message, ...place, ...(label === undefined ? {} : { label }) });
    return [];
  };
  const builtin = builtinPolicyText(reference.name);
  const found =
    builtin !== undefined
      ? { text: builtin, filename: builtinName(reference.name) }
      : (options.resolve?.(reference.name, from) ?? "only built-in policies can be extended here");
  if (typeof found === "string") {
    return fail(
      "cannot-extend",
      `cannot extend ${JSON.stringify(reference.name)}: ${found}`,
      `built-in policies are ${builtinPolicies().join(", ")}`,
    );
  }
  if (stack.includes(found.filename)) {
    return fail("extends-circle", `extends goes in a circle: ${[...stack, found.filename].join(" → ")}`);
  }
  // What stands in a layer a second time can decide nothing that it has not decided the first time.
  if (seen.has(found.filename)) return [];
  seen.add(found.filename);
  return readWithParents(found.text, found.filename, found.filename, options, stack, seen, diagnostics);
}

/** How a built-in policy is called in messages. */
export function builtinName(name: string): string {
  return `built-in ${name}`;
}

function parseDocument(
  text: string | PolicyDocument,
  name: string,
  format: ReadOptions["format"],
): ParsedDocument {
  if (typeof text !== "string") return documentFromObject(text);
  // A byte order mark is no part of the text; TOML's parser rejects it.
  const source: Source = { name, text: text.replace(/^\ufeff/, "") };
  const unfit = unfitText(source);
  if (unfit !== undefined) return { diagnostics: [unfit] };
  if (source.text.trim() === "") {
    const message = "this policy is empty: a policy begins with version = 1 and [syscalls]";
    return { diagnostics: [{ id: "empty-policy", severity: "error", message }] };
  }
  const isJson =
    format === "json" ||
    format === "oci" ||
    (format === undefined && source.text.trimStart().startsWith("{"));
  return isJson ? parseJsonDocument(source) : parseTomlDocument(source);
}
