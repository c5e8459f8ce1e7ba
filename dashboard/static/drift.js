// The drift of the instrument, row by row, as a small curve: it has been taken out of every score.

import { byId, setText } from "./dom.js";
import { fixed, whole } from "./format.js";

const [WIDTH, HEIGHT, LEAST_EV] = [100, 30, 0.1];

/** `driftEv` is one value a row, NaN where a row has no score; null or all NaN: nothing to show. */
export function showDrift(driftEv) {
  const known = [...(driftEv ?? [])].filter(Number.isFinite);
  byId("drift").hidden = known.length === 0;
  if (known.length === 0) return;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const reach = Math.max(-low, high, LEAST_EV) * 1.05;  // the same scale up and down, and none for nothing
  const y = (value) => (HEIGHT / 2) * (1 - value / reach);
  const x = (row) => (WIDTH * (row + 0.5)) / driftEv.length;
  let path = "";
  let joined = false;
  driftEv.forEach((value, row) => {
    if (Number.isFinite(value)) path += `${joined ? "L" : "M"}${x(row).toFixed(2)} ${y(value).toFixed(2)}`;
    joined = Number.isFinite(value);
  });
  byId("drift-line").setAttribute("d", path);
  for (const end of ["y1", "y2"]) byId("drift-zero").setAttribute(end, String(HEIGHT / 2));
  setText(byId("drift-words"), `${fixed(low, 2)} to ${fixed(high, 2)} eV over ${whole(known.length)} rows; taken out of the scores.`);
}
