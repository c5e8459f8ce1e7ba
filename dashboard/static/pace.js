// Drawing at a pace that the machine can afford: a microscope's PC has more to do than to paint.

const REST = 4;  // times as long as a drawing took, before the next one that nobody asked for
const FRAME_MS = 1000 / 60;

export class Paced {
  constructor(draw) {
    this.draw = draw;
    this.waiting = null;
    this.restedAt = 0;
  }

  /** Draw with the next frame: a person waits for it. */
  now() {
    if (this.waiting === "frame") return;
    clearTimeout(this.timer);
    this.waiting = "frame";
    requestAnimationFrame(() => this.run());
  }

  /** Draw once rested. */
  soon() {
    if (this.waiting !== null) return;
    const wait = this.restedAt - performance.now();
    if (wait <= 0) {
      this.now();
      return;
    }
    this.waiting = "rest";
    this.timer = setTimeout(() => this.now(), wait);
  }

  run() {
    this.waiting = null;
    const begun = performance.now();
    this.draw();
    // Bokeh paints in frames of its own; two are there anyway
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const ended = performance.now();
      this.restedAt = ended + REST * Math.max(ended - begun - 2 * FRAME_MS, 0);
    }));
  }
}
