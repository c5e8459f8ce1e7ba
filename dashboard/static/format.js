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

/** Room on a disk: 118 GiB. */
export function gibibytes(bytes) {
  if (!isNumber(bytes)) return "–";
  const size = bytes / 2 ** 30;
  return `${size < 10 ? size.toFixed(1) : whole(size)} GiB`;
}

/** [row0, col0, row1, col1], half-open, in words: rows 10–14, columns 20–25. */
export function place([row0, col0, row1, col1]) {
  const span = (word, from, to) => (to - from === 1 ? `${word} ${from}` : `${word}s ${from}–${to - 1}`);
  return `${span("row", row0, row1)}, ${span("column", col0, col1)}`;
}

/** A shift in eV, or how many counts too many or too few, with its standard error; "" where it is not known. */
export function amount(value, error, unit) {
  if (!isNumber(value)) return "";
  const digits = unit === "eV" ? 2 : 0;
  const number = (x) => (unit === "eV" ? fixed(x, digits) : whole(x));
  const sure = isNumber(error) ? ` ± ${number(error)}` : "";
  if (unit === "eV") return `shift ${value > 0 ? "+" : ""}${number(value)}${sure} eV`;
  return `${number(Math.abs(value))}${sure} counts too ${value > 0 ? "many" : "few"}`;
}

/** What a region's pixels say together. */
export const regionAmount = (region) => amount(region.shift_ev, region.shift_error_ev, "eV")
  || amount(region.excess_counts, region.excess_error_counts, "counts");

const LABELS = { spike: "X-ray spike", vacuum: "vacuum", saturated: "saturated" };

export const labelName = (label) => LABELS[label] ?? label ?? "";

/** What was seen in a scored pixel, in words; "" where it has no score. */
export function pixelSentence(pixel) {
  if (!isNumber(pixel.score)) return "";
  if (pixel.label) {
    const where = pixel.label === "spike" ? ` at ${fixed(pixel.energy_peak_ev, 0)} eV` : "";
    const name = labelName(pixel.label);
    const verdict = pixel.flag ? "set aside, but the rest of the spectrum deviates" : "no anomaly";
    return `${name[0].toUpperCase()}${name.slice(1)}${where}: ${verdict}`;
  }
  if (!pixel.kind) return "";
  const [low, high] = pixel.energy_span_ev ?? [NaN, NaN];
  const where = high > low ? `between ${fixed(low, 0)} and ${fixed(high, 0)} eV` : `near ${fixed(pixel.energy_peak_ev, 0)} eV`;
  const what = amount(pixel.amount, pixel.amount_error, pixel.amount_unit);
  const seen = pixel.amount_unit === "eV" && what ? what : [pixel.kind, what].filter(Boolean).join(": ");
  return `${pixel.flag ? "" : "Nothing unusual; the most there is: "}${seen} ${where}${pixel.edge ? `, ${pixel.edge}` : ""}`;
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

/** What the rule of `health` (or of a scan) means for the operator. */
export function ruleSentence({ fdr, false_flags: falseFlags }) {
  if (isNumber(falseFlags)) {
    return `A pixel is flagged so that a scan without anomalies has about ${Number(falseFlags.toPrecision(3))} false ` +
      `${falseFlags === 1 ? "flag" : "flags"}. A smaller number flags fewer pixels, more surely.`;
  }
  if (!isNumber(fdr) || fdr <= 0) return "";
  const one = 1 / fdr;
  const every = one < 10 ? Number(one.toPrecision(2)) : Math.round(one);
  return `A pixel is flagged so that about 1 in every ${every.toLocaleString("en-US")} flagged pixels is a false alarm. ` +
    "A smaller number flags fewer pixels, more surely.";
}
