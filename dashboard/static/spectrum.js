// The chosen pixel: its spectrum against expectation, the residual below; fetched again when its row is rescored.

import { call, scanPath } from "./api.js";
import { byId, setText } from "./dom.js";
import { chance, fixed, pixelSentence } from "./format.js";

const PAUSE_MS = 400;

export class PixelView {
  constructor(model) {
    this.model = model;
    this.chosen = null;
    this.shown = null;
    this.fetching = false;
    this.stale = false;
    this.axis = "";
    const showAll = () => {
      this.axis = "";
      this.fitEnergy(this.model("pixel_spectrum").data.energy_ev);
    };
    byId("whole-spectrum").onclick = showAll;
    for (const name of ["spectrum", "residual"]) model(name).on_event("doubletap", showAll);
  }

  choose(scan, row, column) {
    this.chosen = { scan, row, column };
    setText(byId("pixel-title"), `Pixel row ${row}, column ${column}: fetching its spectrum`);
    this.refresh();
  }

  clear() {
    this.chosen = null;
    this.shown = null;
    setText(byId("pixel-title"), "Click a pixel on either map to see its spectrum");
    for (const name of ["pixel-words", "pixel-why"]) setText(byId(name), "");
    this.draw({ energy_ev: [], counts: [] });
  }

  /** Rows of a scan changed: fetch again where the chosen pixel is among them. */
  changed(scan, rows) {
    if (this.chosen?.scan === scan && rows.includes(this.chosen.row)) this.refresh();
  }

  async refresh() {
    this.stale = true;
    if (this.fetching) return;
    this.fetching = true;
    while (this.stale && this.chosen !== null) {
      this.stale = false;
      await this.fetchOnce(this.chosen);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    this.fetching = false;
  }

  async fetchOnce(wanted) {
    let pixel = null;
    let fault = null;
    try {
      pixel = await call("GET", `${scanPath(wanted.scan)}/pixels/${wanted.row}/${wanted.column}`);
    } catch (error) {
      fault = error.message;
    }
    if (this.chosen !== wanted) {
      this.stale = true;
      return;
    }
    if (fault !== null) {
      setText(byId("pixel-title"), `Pixel row ${wanted.row}, column ${wanted.column}`);
      setText(byId("pixel-words"), "");
      setText(byId("pixel-why"), fault);
      this.shown = null;
      this.draw({ energy_ev: [], counts: [] });
      return;
    }
    this.shown = { ...wanted };
    setText(byId("pixel-title"), title(pixel));
    setText(byId("pixel-words"), pixelSentence(pixel));
    setText(byId("pixel-why"), pixel.why ?? "");
    this.draw(pixel);
  }

  /** The energy range is the operator's to zoom: it is set only when the axis is another one. */
  fitEnergy(energies) {
    const axis = energies.length > 0 ? `${energies[0]} ${energies.at(-1)} ${energies.length}` : this.axis;
    if (axis !== this.axis) fit(this.model("spectrum").x_range, [energies], 0.01);
    this.axis = axis;
  }

  draw(pixel) {
    const none = () => new Float64Array(pixel.energy_ev.length).fill(NaN);
    // JSON has no NaN: a null inside an array is a channel without a value.
    const column = (values) => (values ? Float64Array.from(values, (value) => value ?? NaN) : none());
    this.model("pixel_spectrum").data = {
      energy_ev: Float64Array.from(pixel.energy_ev),
      counts: column(pixel.counts),
      expected: column(pixel.expected),
      residual_z: column(pixel.residual_z),
    };
    byId("pixel").classList.toggle("empty", pixel.energy_ev.length === 0);
    const data = this.model("pixel_spectrum").data;
    fit(this.model("spectrum").y_range, [data.counts, data.expected]);
    fit(this.model("residual").y_range, [data.residual_z, [-5, 5]]);
    this.fitEnergy(data.energy_ev);
    const peak = pixel.score == null ? null : (pixel.energy_peak_ev ?? null);
    for (const name of ["spectrum_peak", "residual_peak"]) this.model(name).location = peak;
  }
}

/** A range over all finite values, with a margin. */
function fit(range, columns, margin = 0.06) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of columns) {
    for (const value of values) if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  if (!(low <= high)) return;
  const space = margin * (high - low) || 1;
  range.setv({ start: low - space, end: high + space });
}

function title(pixel) {
  const where = `Pixel row ${pixel.row}, column ${pixel.column}`;
  if (pixel.counts == null) return `${where}: no data`;
  if (pixel.score == null) return `${where}: not scored`;
  const parts = [`score ${fixed(pixel.score)}`, `p ${chance(pixel.p_value)}`];
  return `${where}: ${parts.join(", ")}${pixel.flag ? " – FLAGGED" : ""}`;
}
