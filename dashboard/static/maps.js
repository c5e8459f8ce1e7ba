// The two maps of the watched scan: pictures, marks, pointing and clicking.

import { byId, setText } from "./dom.js";
import { boxes, Image, spanOf, SquareWindow } from "./figures.js";
import { chance, fixed, labelName, whole } from "./format.js";

const HIGHEST_NEG_LOG10_P = 10;

/** A mark stands off a little, so as not to hide what it marks. */
const grown = ([row0, col0, row1, col1], by) => [row0 - by, col0 - by, row1 + by, col1 + by];

export class MapPair {
  constructor(model, onClick, onLayer) {
    this.model = model;
    this.maps = null;
    this.layer = "p_value";
    this.isOpen = true;
    this.labelNames = [];
    this.draws = 0;
    this.anomaly = new Image(model("anomaly_image"));
    this.total = new Image(model("total_image"));
    this.states = new Image(model("map_state"));
    this.labels = new Image(model("label_image"));
    const plots = [model("anomaly"), model("total")];
    this.window = new SquareWindow(plots);
    for (const plot of plots) {
      plot.on_event("tap", ({ x, y }) => {
        const [row, column] = [Math.floor(y), Math.floor(x)];
        if (this.maps?.holds(row, column)) onClick(row, column);
      });
      plot.on_event("mousemove", (event) => this.point(plot, event));
      plot.on_event("mouseleave", () => { byId("tip").hidden = true; });
    }
    byId("whole-map").onclick = () => this.showWhole();
    byId("layer-chooser").onchange = ({ target }) => {
      this.layer = target.value;
      onLayer();
    };
  }

  /** Another scan: the whole of it in view, marks cleared. */
  watch(maps) {
    this.maps = maps;
    this.showWhole();
    this.choose(null);
  }

  showWhole() {
    if (this.maps !== null) this.window.show(this.maps.box);
  }

  /** Bring a region to the middle, with some of its surroundings. */
  showRegion([row0, col0, row1, col1]) {
    const reach = Math.max(24, 4 * (row1 - row0), 4 * (col1 - col0)) / 2;
    const largest = Math.max(this.maps.rows, this.maps.columns) / 2;
    const half = Math.min(reach, largest);
    const [row, column] = [(row0 + row1) / 2, (col0 + col1) / 2];
    this.window.show([row - half, column - half, row + half, column + half]);
  }

  choose(pixel) {
    this.model("chosen_pixel").data = pixel === null ? { x: [], y: [] } : { x: [pixel.column + 0.5], y: [pixel.row + 0.5] };
  }

  mark(regions, chosenId, children) {
    const width = regions.map((region) => (region.id === chosenId ? 4 : 1.5));
    this.model("region_boxes").data = { ...boxes(regions.map(({ region }) => grown(region, 0.6))), width };
    this.model("child_boxes").data = boxes(children.map((region) => grown(region, 1.4)));
  }

  draw() {
    const { maps } = this;
    if (maps === null) return;
    this.states.draw(maps.box, (out) => maps.states(this.isOpen, out));
    this.anomaly.draw(maps.box, (out) => maps.picture(this.layer, out));
    this.labels.draw(maps.box, (out) => maps.labels(out));
    this.total.draw(maps.box, (out) => maps.picture("total", out));
    this.model("flag_outline").data = maps.outline();
    const [low, high] = spanOf(maps.layers.total);
    this.model("total_colors").setv({ low, high });
    this.model("anomaly_colors").setv(this.anomalyColors());
    this.draws += 1;
  }

  anomalyColors() {
    if (this.layer === "p_value") return { low: 0, high: HIGHEST_NEG_LOG10_P };
    const [low, high] = spanOf(this.maps.layers[this.layer]);
    return this.layer === "score" ? { low: 0, high: Math.max(2 * high, 1) } : { low, high };
  }

  point(plot, { x, y, sx, sy }) {
    const tip = byId("tip");
    const [row, column] = [Math.floor(y), Math.floor(x)];
    const view = Bokeh.index.get_one(plot);
    if (view === null || !this.maps?.holds(row, column)) {
      tip.hidden = true;
      return;
    }
    setText(tip, this.describe(row, column));
    tip.hidden = false;
    const frame = view.el.getBoundingClientRect();
    const left = Math.min(frame.left + sx + 18, window.innerWidth - tip.offsetWidth - 8);
    const top = Math.min(frame.top + sy + 18, window.innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  }

  describe(row, column) {
    const at = (name) => this.maps.at(name, row, column);
    const lines = [`row ${row}, column ${column}`];
    if (Number.isNaN(at("total"))) return `${lines[0]}\nno data here${this.isOpen ? " so far" : ": missing"}`;
    if (Number.isNaN(at("p_value"))) lines.push("received, not scored");
    else {
      const flagged = this.maps.isFlagged(row * this.maps.columns + column) ? " – FLAGGED" : "";
      lines.push(`p ${chance(at("p_value"))}${flagged}`);
      const label = this.maps.labelOf(row * this.maps.columns + column);
      if (label > 0) lines.push(`${labelName(this.labelNames[label - 1])}: no anomaly`);
      lines.push(`score ${fixed(at("score"))}, near ${fixed(at("energy_ev"))} eV`);
      if (this.maps.isProvisional(row)) lines.push("provisional: rows around it are still to come");
    }
    lines.push(`${whole(at("total"))} counts`);
    return lines.join("\n");
  }
}
