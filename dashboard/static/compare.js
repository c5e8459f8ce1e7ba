// A rescan beside its parent: the parent's region and the child's map, same colours, and the verdict in words.

import { byId, setOptions, setText } from "./dom.js";
import { Image, SquareWindow } from "./figures.js";
import { whole } from "./format.js";

export class Compare {
  constructor(model, onChoose) {
    this.model = model;
    this.values = new Image(model("child_image"));
    this.states = new Image(model("child_state"));
    this.cropValues = new Image(model("crop_image"));
    this.cropStates = new Image(model("crop_state"));
    this.crop = new SquareWindow([model("parent_crop")]);
    this.whole = new SquareWindow([model("child")]);
    this.shownKey = "";
    byId("child-chooser").onchange = ({ target }) => onChoose(target.value);
  }

  /** `children`: chooser entries of the watched scan's children, newest first; `child`: the ScanView shown, or null. */
  show(children, child) {
    byId("compare").hidden = child === null;
    if (child === null) {
      this.shownKey = "";
      return;
    }
    byId("child-chooser").parentElement.hidden = children.length < 2;
    setOptions(byId("child-chooser"), children.map((each) => [each.scan, each.scan]), child.scan);
    setText(byId("compare-words"), verdict(child));
    const key = JSON.stringify([child.scan, child.shape, child.parent.region]);
    if (key === this.shownKey) return;
    this.shownKey = key;
    this.crop.show(child.parent.region);
    this.whole.show([0, 0, child.shape[0], child.shape[1]]);
  }

  /** `parent` and `maps` are the ScanMaps of the first scan and of the rescan, drawn in the same `layer`. */
  draw(parent, maps, child, { layer, parentIsOpen }) {
    this.states.draw(maps.box, (out) => maps.states(child.state === "open", out));
    this.values.draw(maps.box, (out) => maps.picture(layer, out));
    this.model("child_outline").data = maps.outline();
    const region = parent.clipped(child.parent.region);
    if (region === null) return;
    const cut = (fill) => {
      const whole = new Float32Array(parent.rows * parent.columns);
      fill(whole);
      return (out) => out.set(parent.cut(whole, region));
    };
    this.cropStates.draw(region, cut((whole) => parent.states(parentIsOpen, whole)));
    this.cropValues.draw(region, cut((whole) => parent.picture(layer, whole)));
  }
}

export function verdict(child) {
  const { flagged, scored } = child.pixels;
  const all = child.shape[0] * child.shape[1];
  if (child.why) return `The rescan is not scored: ${child.why}`;
  if (scored === 0) return child.state === "open" ? "The rescan has begun; nothing is scored yet." : "Nothing of the rescan was scored.";
  const counted = `Child scan: ${whole(flagged)} of ${whole(scored)} scored pixels flagged`;
  if (child.state === "open") return `${counted} so far (${whole(all - scored)} to come).`;
  const missing = child.pixels.missing > 0 ? ` ${whole(child.pixels.missing)} pixels are missing.` : "";
  return (flagged > 0 ? `✔ ${counted}; the region held up.` : `○ ${counted}: nothing flagged; the region did not hold up.`) + missing;
}
