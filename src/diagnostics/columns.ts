/** How many columns of a terminal a text takes: none for marks that combine, two for wide characters. */

let segmenter: Intl.Segmenter | undefined;

/** Made when it is needed: making it takes longer than reading most policies. */
function graphemesOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return segmenter.segment(text);
}
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])|\ufe0f/u;
const plain = /^[ -~]*$/;

function widthOf(grapheme: string): number {
  if (plain.test(grapheme)) return grapheme.length;
  if (/^\p{Mark}+$/u.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}

function pieces(text: string): readonly string[] {
  return plain.test(text) ? [...text] : [...graphemesOf(text)].map((one) => one.segment);
}

export function displayWidth(text: string): number {
  return plain.test(text) ? text.length : pieces(text).reduce((sum, one) => sum + widthOf(one), 0);
}

/** As much of a text's beginning as fits. */
export function firstColumns(text: string, columns: number): string {
  let room = columns;
  let kept = "";
  // Long lines need not be looked through whole.
  for (const one of pieces(text.slice(0, columns * 8))) {
    room -= widthOf(one);
    if (room < 0) break;
    kept += one;
  }
  return kept;
}

/** As much of a text's end as fits. */
export function lastColumns(text: string, columns: number): string {
  let room = columns;
  let kept = "";
  for (const one of pieces(text.slice(-columns * 8)).toReversed()) {
    room -= widthOf(one);
    if (room < 0) break;
    kept = one + kept;
  }
  return kept;
}
