// The maps of one scan as the page holds them: plain float32 layers, changed row by row; no DOM, no Bokeh.

export const NOT_YET = 0.5;
export const WAITING = 1.5;
const PROVISIONAL = 4;  // after the labels, 1 to 3

export class ScanMaps {
  constructor(scan, [rows, columns], names) {
    this.scan = scan;
    this.rows = rows;
    this.columns = columns;
    this.layers = Object.fromEntries(names.map((name) => [name, new Float32Array(rows * columns).fill(NaN)]));
    this.negLog10P = new Float32Array(rows * columns).fill(NaN);
    this.pThreshold = new Float64Array(rows);
    this.driftEv = new Float64Array(rows).fill(NaN);
    this.provisional = new Uint8Array(rows);
  }

  apply(entry) {
    this.pThreshold.set(entry.p_threshold);
    entry.rows.forEach((row, at) => {
      this.driftEv[row] = entry.drift_ev[at] ?? NaN;
      this.provisional[row] = entry.provisional[at];
    });
    for (const [name, changed] of Object.entries(entry.arrays)) {
      entry.rows.forEach((row, at) => {
        this.layers[name].set(changed.subarray(at * this.columns, (at + 1) * this.columns), row * this.columns);
      });
    }
    const { p_value: p } = this.layers;
    for (const row of entry.rows) {
      for (let i = row * this.columns; i < (row + 1) * this.columns; i += 1) this.negLog10P[i] = -Math.log10(p[i]);
    }
  }

  get box() {
    return [0, 0, this.rows, this.columns];
  }

  /** The part of [row0, col0, row1, col1] that lies on the map, null where none does: a sender may claim anything. */
  clipped([row0, col0, row1, col1]) {
    const box = [Math.max(row0, 0), Math.max(col0, 0), Math.min(row1, this.rows), Math.min(col1, this.columns)];
    return box[0] < box[2] && box[1] < box[3] ? box : null;
  }

  /** The pixels of [row0, col0, row1, col1] of an array over the whole map. */
  cut(values, [row0, col0, row1, col1]) {
    const out = new Float32Array((row1 - row0) * (col1 - col0));
    for (let row = row0; row < row1; row += 1) {
      const start = row * this.columns;
      out.set(values.subarray(start + col0, start + col1), (row - row0) * (col1 - col0));
    }
    return out;
  }

  at(name, row, column) {
    return this.layers[name][row * this.columns + column];
  }

  holds(row, column) {
    return row >= 0 && column >= 0 && row < this.rows && column < this.columns;
  }

  isFlagged(index) {
    const p = this.layers.p_value[index];
    return p > 0 && p <= this.pThreshold[Math.floor(index / this.columns)];
  }

  /** The number of the pixel's label, 0 where there is nothing to say. */
  labelOf(index) {
    return this.layers.label[index] || 0;
  }

  isProvisional(row) {
    return this.provisional[row] === 1;
  }

  /** Labelled pixels, into `out`: the label's number; PROVISIONAL where a score will be replaced, NaN elsewhere. */
  labels(out) {
    for (let i = 0; i < out.length; i += 1) {
      out[i] = this.labelOf(i) || (this.isProvisional(Math.floor(i / this.columns)) ? PROVISIONAL : NaN);
    }
  }

  countFlagged() {
    let count = 0;
    for (let i = 0; i < this.layers.p_value.length; i += 1) if (this.isFlagged(i)) count += 1;
    return count;
  }

  /** What to draw for a layer, into `out`: p-values as −log₁₀ p, the others as they are. */
  picture(name, out) {
    out.set(name === "p_value" ? this.negLog10P : this.layers[name]);
  }

  /** Pixels without a score, into `out`: NOT_YET, WAITING, or NaN where data is missing (or there is a score). */
  states(isOpen, out) {
    const { total, p_value: values } = this.layers;
    const lastRow = isOpen ? this.lastRow() : this.rows;
    for (let i = 0; i < out.length; i += 1) {
      if (!Number.isNaN(values[i])) out[i] = NaN;
      else if (!Number.isNaN(total[i])) out[i] = WAITING;
      else out[i] = i >= lastRow * this.columns ? NOT_YET : NaN;
    }
  }

  /** The last row with any data, -1 where there is none: what is missing before it was passed over. */
  lastRow() {
    const { total } = this.layers;
    for (let i = total.length - 1; i >= 0; i -= 1) if (!Number.isNaN(total[i])) return Math.floor(i / this.columns);
    return -1;
  }

  /** The pixel of the smallest p-value in [row0, col0, row1, col1], or null. */
  strongest([row0, col0, row1, col1]) {
    let best = null;
    let least = Infinity;
    for (let row = row0; row < row1; row += 1) {
      for (let column = col0; column < col1; column += 1) {
        const p = this.at("p_value", row, column);
        if (p < least) [least, best] = [p, { row, column }];
      }
    }
    return best;
  }

  /** Borders of the flagged area as line segments, runs merged. */
  outline() {
    const lines = { x0: [], y0: [], x1: [], y1: [] };
    const { columns } = this;
    const flagged = new Uint8Array((this.rows + 2) * (columns + 2));
    let [top, bottom] = [this.rows, -1];
    for (let row = 0; row < this.rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        if (!this.isFlagged(row * columns + column)) continue;
        flagged[(row + 1) * (columns + 2) + column + 1] = 1;
        [top, bottom] = [Math.min(top, row), row];
      }
    }
    if (bottom < 0) return lines;
    const at = (row, column) => flagged[(row + 1) * (columns + 2) + column + 1];
    const add = (x0, y0, x1, y1) => { lines.x0.push(x0); lines.y0.push(y0); lines.x1.push(x1); lines.y1.push(y1); };
    for (let row = top; row <= bottom + 1; row += 1) {
      runs(0, columns, (column) => at(row - 1, column) !== at(row, column), (from, to) => add(from, row, to, row));
    }
    for (let column = 0; column <= columns; column += 1) {
      runs(top, bottom + 1, (row) => at(row, column - 1) !== at(row, column), (from, to) => add(column, from, column, to));
    }
    return lines;
  }
}

function runs(start, end, holds, add) {
  let from = -1;
  for (let i = start; i <= end; i += 1) {
    const inside = i < end && holds(i);
    if (inside && from < 0) from = i;
    if (!inside && from >= 0) {
      add(from, i);
      from = -1;
    }
  }
}
