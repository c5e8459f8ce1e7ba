// The maps of one scan as the page holds them: plain float32 layers, changed row by row; no DOM, no Bokeh.

export const NOT_YET = 0.5;
export const WAITING = 1.5;

export class ScanMaps {
  constructor(scan, [rows, columns], names) {
    this.scan = scan;
    this.rows = rows;
    this.columns = columns;
    this.layers = Object.fromEntries(names.map((name) => [name, new Float32Array(rows * columns).fill(NaN)]));
    this.pThreshold = 0;
  }

  apply(entry) {
    this.pThreshold = entry.p_threshold;
    for (const [name, changed] of Object.entries(entry.arrays)) {
      entry.rows.forEach((row, at) => {
        this.layers[name].set(changed.subarray(at * this.columns, (at + 1) * this.columns), row * this.columns);
      });
    }
  }

  at(name, row, column) {
    return this.layers[name][row * this.columns + column];
  }

  holds(row, column) {
    return row >= 0 && column >= 0 && row < this.rows && column < this.columns;
  }

  isFlagged(index) {
    const p = this.layers.p_value[index];
    return p > 0 && p <= this.pThreshold;
  }

  countFlagged() {
    let count = 0;
    for (let i = 0; i < this.layers.p_value.length; i += 1) if (this.isFlagged(i)) count += 1;
    return count;
  }

  /** What to draw for a layer, into `out`: p-values as −log₁₀ p, the others as they are. */
  picture(name, out) {
    const values = this.layers[name];
    if (name === "p_value") for (let i = 0; i < out.length; i += 1) out[i] = -Math.log10(values[i]);
    else out.set(values);
  }

  /** Pixels without a value in layer `name`, into `out`: NOT_YET, WAITING, or NaN where data is missing. */
  states(name, isOpen, out) {
    const { total } = this.layers;
    const values = this.layers[name];
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
    const flagged = (row, column) => this.holds(row, column) && this.isFlagged(row * this.columns + column);
    const sweep = (outer, inner, differs, add) => {
      for (let i = 0; i <= outer; i += 1) {
        let start = -1;
        for (let j = 0; j <= inner; j += 1) {
          const border = j < inner && differs(i, j);
          if (border && start < 0) start = j;
          if (!border && start >= 0) [start] = [-1, add(i, start, j)];
        }
      }
    };
    const add = (x0, y0, x1, y1) => { lines.x0.push(x0); lines.y0.push(y0); lines.x1.push(x1); lines.y1.push(y1); };
    sweep(this.rows, this.columns, (r, c) => flagged(r - 1, c) !== flagged(r, c), (r, from, to) => add(from, r, to, r));
    sweep(this.columns, this.rows, (c, r) => flagged(r, c - 1) !== flagged(r, c), (c, from, to) => add(c, from, c, to));
    return lines;
  }
}
