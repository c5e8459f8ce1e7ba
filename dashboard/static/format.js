// Numbers and states in words for a person; no DOM here.

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export function whole(value) {
  return isNumber(value) ? Math.round(value).toLocaleString("en-US") : "–";
}

export function fixed(value, digits = 1) {
  return isNumber(value) ? value.toFixed(digits).replace("-", "−") : "–";
}

/** A p-value: 0.032, 3 × 10⁻⁸. */
export function chance(p) {
  if (!isNumber(p)) return "–";
  if (p >= 0.001) return String(Number(p.toPrecision(2)));
  if (p <= 0) return "0";
  const [digits, power] = p.toExponential(0).split("e");
  return `${digits} × 10${[...power].map((sign) => SUPERSCRIPT[sign] ?? "").join("")}`;
}

export function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function milliseconds(value) {
  if (!isNumber(value)) return "–";
  return value < 1000 ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : duration(value / 1000);
}

/** [row0, col0, row1, col1], half-open, in words: rows 10–14, columns 20–25. */
export function place([row0, col0, row1, col1]) {
  const span = (word, from, to) => (to - from === 1 ? `${word} ${from}` : `${word}s ${from}–${to - 1}`);
  return `${span("row", row0, row1)}, ${span("column", col0, col1)}`;
}

export function shift(region) {
  if (!isNumber(region.shift_ev)) return "";
  const error = isNumber(region.shift_error_ev) ? ` ± ${fixed(region.shift_error_ev, 2)}` : "";
  return `shift ${region.shift_ev > 0 ? "+" : ""}${fixed(region.shift_ev, 2)}${error} eV`;
}

export function scanState(state) {
  const words = {
    open: "▶ scanning",
    complete: "✔ complete",
    incomplete: "◐ ended, pixels missing",
    aborted: "■ aborted",
  };
  return words[state] ?? state;
}

export function fdrSentence(fdr) {
  if (!isNumber(fdr) || fdr <= 0) return "";
  const one = 1 / fdr;
  const every = one < 10 ? Number(one.toPrecision(2)) : Math.round(one);
  return `A pixel is flagged so that about 1 in every ${every.toLocaleString("en-US")} flagged pixels is a false alarm. ` +
    "A smaller number flags fewer pixels, more surely.";
}
