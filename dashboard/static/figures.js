// The Bokeh figures made in Python: put into the page, and drawn into by source name.

import { byId } from "./dom.js";

/** Embed every figure into its element; resolves to a way to find models by name. */
export async function embedFigures() {
  const json = JSON.parse(byId("figures").textContent);
  const roots = json.roots.map((root) => [root.id, byId(`figure-${root.attributes.name}`)]);
  await Bokeh.embed.embed_items(
    { page: json },
    [{ docid: "page", roots: Object.fromEntries(roots), root_ids: roots.map(([id]) => id) }],
  );
  const page = Bokeh.documents.find((each) => each.get_model_by_name("anomaly_image") !== null);
  return (name) => {
    const model = page.get_model_by_name(name);
    if (model === null) throw new Error(`the page has no figure part named ${name}`);
    return model;
  };
}

/** One image source, drawn at most once a call; its array is made anew only when the shape changes. */
export class Image {
  constructor(source) {
    this.source = source;
    this.NdArray = source.data.image[0].constructor;
  }

  /** Fills the picture of [row0, col0, row1, col1]. */
  draw([row0, col0, row1, col1], fill) {
    const { data } = this.source;
    let picture = data.image[0];
    const [rows, columns] = [row1 - row0, col1 - col0];
    const same = picture.shape[0] === rows && picture.shape[1] === columns && data.x[0] === col0 && data.y[0] === row0;
    if (!same) picture = new this.NdArray(new Float32Array(rows * columns), [rows, columns]);
    fill(picture);
    if (same) this.source.change.emit();
    else {
      this.source.data = {
        image: [picture], x: [col0], y: [row0], dw: [columns], dh: [rows], right: [col1], bottom: [row1],
      };
    }
  }
}

/** Keeps pixels square: shows [row0, col0, row1, col1] whole, centred, in the figures of these ranges. */
export class SquareWindow {
  constructor(plots) {
    this.plots = plots;
    this.box = [0, 0, 1, 1];
    for (const property of ["inner_width", "inner_height"]) {
      plots[0].properties[property].change.connect(() => this.fit());
    }
    for (const plot of plots) plot.on_event("doubletap", () => this.fit());
  }

  show(box) {
    this.box = box;
    this.fit();
  }

  fit() {
    const [plot] = this.plots;
    const [row0, col0, row1, col1] = this.box;
    const [width, height] = [plot.inner_width, plot.inner_height];
    if (!(width > 0 && height > 0)) return;
    const pixel = Math.max((col1 - col0) / width, (row1 - row0) / height);
    const [halfX, halfY] = [(pixel * width) / 2, (pixel * height) / 2];
    const [middleX, middleY] = [(col0 + col1) / 2, (row0 + row1) / 2];
    plot.x_range.setv({ start: middleX - halfX, end: middleX + halfX });
    plot.y_range.setv({ start: middleY + halfY, end: middleY - halfY });
  }
}

/** Boxes [row0, col0, row1, col1] as the columns of a quad source. */
export function boxes(regions) {
  return {
    left: regions.map((region) => region[1]),
    right: regions.map((region) => region[3]),
    top: regions.map((region) => region[0]),
    bottom: regions.map((region) => region[2]),
  };
}

/** A calm colour range for values that vary: the 1st to 99th percentile of a sample of the finite ones. */
export function spanOf(values) {
  const stride = Math.max(1, Math.floor(values.length / 20_000));
  const sample = [];
  for (let i = 0; i < values.length; i += stride) if (Number.isFinite(values[i])) sample.push(values[i]);
  if (sample.length === 0) return [0, 1];
  sample.sort((a, b) => a - b);
  const [low, high] = [sample[Math.floor(0.01 * (sample.length - 1))], sample[Math.ceil(0.99 * (sample.length - 1))]];
  if (!(high > low)) return [low - 0.5, high + 0.5];
  // In steps, so that a growing map does not change its colours with each row.
  const step = 10 ** Math.floor(Math.log10((high - low) / 5));
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step];
}
