// The page: messages in, pictures out, at the pace that the machine affords. `window.eelswatch` is for tests to read.

import { byId, setOptions } from "./dom.js";
import { Compare } from "./compare.js";
import { Feed } from "./feed.js";
import { embedFigures } from "./figures.js";
import { showRegions, showRescans, tickExpiries } from "./lists.js";
import { MapPair } from "./maps.js";
import { ScanMaps } from "./scanmaps.js";
import { showDrift } from "./drift.js";
import { Paced } from "./pace.js";
import { PixelView } from "./spectrum.js";
import { showScan, showStatus, wireRule } from "./status.js";

const fresh = () => ({
  header: null, scans: [], watched: null, beside: null, regions: [], rescans: [], maps: { watched: null, beside: null },
});
let state = fresh();
let chosenRegion = null;
let chosenChild = null;
let mapsChanged = false;
const paced = new Paced(draw);

const model = await embedFigures();
const feed = new Feed(take, () => { state = { ...fresh(), maps: state.maps }; });
const pixel = new PixelView(model);
const pair = new MapPair(model, choosePixel, redrawMaps);
const compare = new Compare(model, (child) => { chosenChild = child; ask(byId("scan-chooser").value); });

function take(header) {
  const before = state.watched?.scan;
  for (const part of ["scans", "watched", "beside", "regions", "rescans"]) if (part in header) state[part] = header[part];
  state.header = header;
  for (const entry of header.maps) {
    if (entry.whole) state.maps[entry.role] = new ScanMaps(entry.scan, entry.shape, entry.layers);
    const { pThreshold } = state.maps[entry.role];
    const judgedAnew = pixel.chosen !== null && pThreshold[pixel.chosen.row] !== entry.p_threshold[pixel.chosen.row];
    state.maps[entry.role].apply(entry);
    if (entry.role === "watched") {
      if (entry.whole && pair.maps?.scan !== entry.scan) watchAnother(state.maps.watched);
      else if (entry.whole) pair.maps = state.maps.watched;
      pixel.changed(entry.scan, judgedAnew ? [...entry.rows, pixel.chosen?.row] : entry.rows);
    }
  }
  if (state.watched === null && byId("scan-chooser").value !== "") byId("scan-chooser").value = "";
  if (state.watched?.scan !== before) chosenChild = null;
  ask(byId("scan-chooser").value);
  mapsChanged = true;
  paced.soon();
}

function watchAnother(maps) {
  pair.watch(maps);
  pixel.clear();
  chosenRegion = null;
}

function children() {
  return state.scans.filter((scan) => scan.parent !== null && scan.parent === state.watched?.scan);
}

/** Watch the chosen scan ("" follows the newest) and, beside it, the chosen child or else its newest. */
function ask(watch) {
  const known = children().map(({ scan }) => scan);
  const beside = known.includes(chosenChild) ? chosenChild : (known[0] ?? null);
  feed.ask({ watch: watch === "" ? null : watch, beside });
}

function choosePixel(row, column) {
  pair.choose({ row, column });
  pixel.choose(pair.maps.scan, row, column);
}

function chooseRegion(region) {
  if (pair.maps?.scan !== region.scan) return;
  chosenRegion = region.id;
  pair.showRegion(region.region);
  const strongest = pair.maps.strongest(region.region);
  if (strongest !== null) choosePixel(strongest.row, strongest.column);
  paced.now();
}

function redrawMaps() {
  mapsChanged = true;
  paced.now();
}

function draw() {
  const { header, watched, beside, maps } = state;
  if (header === null) return;
  showStatus(feed, header.health, watched);
  showScan(watched, header.health);
  const title = (scan) => [scan.title, scan.scan].filter(Boolean).join(" · ") + (scan.parent === null ? "" : " (rescan)");
  const options = state.scans.map((scan) => [scan.scan, title(scan)]);
  setOptions(byId("scan-chooser"), [["", `Newest: ${options.length > 0 && watched ? title(asEntry(watched)) : "none yet"}`], ...options], byId("scan-chooser").value);
  showRegions(state.regions, chosenRegion, chooseRegion);
  showRescans([...state.rescans]);
  const child = beside?.parent?.scan === watched?.scan ? beside : null;
  compare.show(children(), child);
  pair.mark(state.regions, chosenRegion, child === null ? [] : [child.parent.region]);
  if (mapsChanged) {
    pair.isOpen = watched?.state === "open";
    pair.labelNames = Object.keys(watched?.labels ?? {});
    showDrift(pair.maps?.driftEv ?? null);
    pair.draw();
    if (child !== null && maps.beside?.scan === child.scan) {
      compare.draw(maps.watched, maps.beside, child, { layer: pair.layer, parentIsOpen: pair.isOpen });
    }
  }
  mapsChanged = false;
  tick();
}

const asEntry = (scan) => ({ ...scan, parent: scan.parent?.scan ?? null });

function tick() {
  feed.check();
  showStatus(feed, state.header?.health, state.watched);
  if (state.header !== null) tickExpiries(state.header.now_ns + (feed.silentS() ?? 0) * 1e9);
}

byId("scan-chooser").onchange = ({ target }) => ask(target.value);
wireRule();
setInterval(tick, 500);
feed.open();

const copyOf = (maps) => maps && {
  scan: maps.scan, rows: maps.rows, columns: maps.columns, p_threshold: maps.pThreshold.slice(), drift_ev: maps.driftEv.slice(),
  layers: Object.fromEntries(Object.entries(maps.layers).map(([name, layer]) => [name, layer.slice()])),
};
window.eelswatch = Object.freeze({
  get connected() { return feed.connected; },
  get messages() { return feed.messages; },
  get version() { return state.header?.version ?? null; },
  get draws() { return pair.draws; },
  get scan() { return state.watched?.scan ?? null; },
  get child() { return state.beside?.scan ?? null; },
  get selected() { return pixel.chosen && { ...pixel.chosen }; },
  get spectrum() { return pixel.shown && { ...pixel.shown }; },
  get maps() { return { watched: copyOf(state.maps.watched), beside: copyOf(state.maps.beside) }; },
});
