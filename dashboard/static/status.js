// The status bar, the counters of the watched scan, the running false discovery rate. Every number with its unit.

import { call } from "./api.js";
import { byId, element, notice, setText } from "./dom.js";
import { duration, gibibytes, isNumber, labelName, milliseconds, ruleSentence, scanState, whole } from "./format.js";

const LATE_S = 5;

/** Once a message and once a second: `feed` tells how fresh all this is. */
export function showStatus(feed, health, watched) {
  const silent = feed.silentS();
  const lost = !feed.connected;
  document.body.classList.toggle("stale", lost);
  byId("lost").hidden = !lost || silent === null;
  setText(byId("lost"), lost && silent !== null
    ? `⚠ Connection lost. What you see is ${duration(silent)} old. Trying to reconnect …` : "");
  const ok = !lost && health?.status === "ok";
  const words = lost ? (silent === null ? "Connecting" : "No connection") : ok ? "All well" : "Fault";
  byId("fault").hidden = ok || lost;
  setText(byId("fault"), ok || lost ? "" : `⚠ ${health?.status ?? ""}`);
  byId("status").className = ok ? "ok" : "fault";
  setText(byId("status").querySelector(".icon"), ok ? "✔" : lost && silent === null ? "…" : "⚠");
  setText(byId("status").querySelector(".words"), words);
  if (!health) return;
  byId("notices").hidden = health.notices.length === 0;
  setText(byId("notices"), health.notices.map((words) => `ℹ ${words}`).join("   "));

  const age = health.data_age_s === null ? null : health.data_age_s + (silent ?? 0);
  setText(byId("data-age"), age === null ? "no data yet" : duration(age));
  byId("data-age").className = watched?.state === "open" && age !== null && age > LATE_S ? "late" : "";
  setText(byId("rate"), lost ? "unknown" : `${whole(health.rate_spectra_per_s)} spectra/s`);
  setText(byId("waiting"), `${whole(health.rows_waiting)} rows`);
  setText(byId("disk"), gibibytes(health.disk_free_bytes));
  setText(byId("provider"), health.provider);
  setText(byId("instrument"), health.instrument === null ? "○ not connected" : `● ${health.instrument}`);
  setText(byId("about"), `eelswatch ${health.version} · model ${health.model} · source ${health.source}`);
  showRule(health);
}

/** The rule as it holds, unless the operator is about to change it. */
function showRule(health) {
  const form = byId("rule");
  setText(byId("rule-words"), ruleSentence(health));
  const key = JSON.stringify([health.fdr, health.false_flags]);
  if (form.contains(document.activeElement) || form.shownKey === key) return;
  form.shownKey = key;
  const isShare = isNumber(health.fdr);
  byId("rule-kind").value = isShare ? "fdr" : "false_flags";
  byId("rule-value").value = String(Number((isShare ? 100 * health.fdr : health.false_flags).toPrecision(6)));
}

export function showScan(scan, health) {
  setText(byId("scan-state"), scan ? scanState(scan.state) : "No scan yet: waiting for the first");
  const lacks = [["scored", scan?.why], ["recorded", scan?.unrecorded]].filter(([, why]) => why);
  byId("why").hidden = lacks.length === 0;
  setText(byId("why"), lacks.map(([what, why]) => `This scan is not ${what}: ${why}`).join(". "));
  setText(byId("gap-words"), scan?.state === "open" ? "missing so far" : "missing");
  const flagged = scan?.pixels.flagged ?? 0;
  const missing = scan?.pixels.missing ?? 0;
  setText(byId("flagged"), scan ? `${whole(flagged)} pixels` : "–");
  const lost = missing > 0 && scan.state !== "open";  // while it runs, most of what is missing is still to come
  setText(byId("missing-words"), scan?.state === "open" ? "Still to come" : "Missing");
  setText(byId("missing"), scan ? `${lost ? "⚠ " : ""}${whole(missing)} pixels` : "–");
  byId("flagged").className = flagged > 0 ? "flag" : "";
  byId("missing").className = lost ? "late" : "";
  document.title = scan ? `${flagged > 0 ? `⚠ ${flagged} flagged – ` : ""}eelswatch` : "eelswatch";
  byId("counters").replaceChildren(...(scan ? counters(scan, health) : []));
}

function counters(scan, health) {
  const { pixels, blocks, wire_errors: errors, latency_ms: latency } = scan;
  const all = scan.shape[0] * scan.shape[1];
  const rows = [
    ["Size", `${scan.shape[0]} rows × ${scan.shape[1]} columns`],
    ["Pixels received", `${whole(pixels.received)} of ${whole(all)}`],
    ["Pixels scored", whole(pixels.scored)],
    ["Pixels scored provisionally", whole(pixels.provisional)],
    ["Pixels missing", whole(pixels.missing), pixels.missing > 0],
    ["Pixels flagged", whole(pixels.flagged)],
    ...Object.entries(scan.labels).filter(([, count]) => count > 0)
      .map(([label, count]) => [`· ${labelName(label)}, no anomaly`, whole(count)]),
    ["Rows waiting for a score", whole(scan.lag_rows)],
    ["Scores that came late", whole(scan.late_rows)],
    ["Time to a score, median", milliseconds(latency.p50)],
    ["Time to a score, 99 % within", milliseconds(latency.p99)],
    ["Blocks received", whole(blocks.received)],
    ["Blocks received twice", whole(blocks.duplicate)],
    ["Blocks replaced", whole(blocks.replaced)],
    ["Blocks after the end (stray)", whole(blocks.stray), blocks.stray > 0],
    ...errorRows("Bad messages of this scan", errors),
  ];
  if (health) {
    rows.push(...errorRows("Bad messages of no scan", health.wire_errors));
    rows.push(["Stray blocks of no scan", whole(health.stray), health.stray > 0]);
    rows.push(["Resends answered", `${whole(health.resends.answered)} of ${whole(health.resends.asked)}`]);
  }
  return rows.flatMap(([name, value, isBad]) => [
    element("dt", { textContent: name }),
    element("dd", { textContent: isBad ? `⚠ ${value}` : value, className: isBad ? "bad" : "" }),
  ]);
}

/** The total, then one line a kind. */
function errorRows(name, errors) {
  const kinds = Object.entries(errors.kinds).map(([kind, count]) => [`· ${kind.replaceAll("_", " ")}`, whole(count), count > 0]);
  return [[name, whole(errors.total), errors.total > 0], ...kinds];
}

export function wireRule() {
  byId("rule").onsubmit = async (event) => {
    event.preventDefault();
    const [kind, value] = [byId("rule-kind").value, Number(byId("rule-value").value)];
    document.activeElement?.blur();
    byId("rule").shownKey = null;
    try {
      await call("PUT", "api/settings/fdr", { [kind]: kind === "fdr" ? Number((value / 100).toPrecision(12)) : value });
    } catch (error) {
      notice(error.message);
    }
  };
}
