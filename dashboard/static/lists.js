// Flagged regions and rescan requests, each a card; cards change in place, so a button never moves under the pointer.

import { call, rescanPath } from "./api.js";
import { byId, element, notice, reconcile, setText } from "./dom.js";
import { chance, duration, fixed, isNumber, place, regionAmount, whole } from "./format.js";

const STATES = {
  proposed: ["?", "waits for your decision", "now"],
  approved: ["✔", "approved", "good"],
  sent: ["➤", "sent to the microscope", "now"],
  accepted: ["✔", "accepted by the microscope", "now"],
  running: ["▶", "running", "now"],
  done: ["✔", "done", "good"],
  denied: ["✖", "denied", ""],
  expired: ["◌", "expired", ""],
  refused: ["✖", "refused by the microscope", "bad"],
  failed: ["⚠", "failed", "bad"],
};
const SHOWN = 100;

export function showRegions(regions, chosenId, onChoose) {
  setText(byId("region-count"), regions.length > 0 ? String(regions.length) : "");
  byId("regions-none").hidden = regions.length > 0;
  reconcile(byId("regions"), regions.slice(0, SHOWN), (region) => regionCard(region, onChoose));
  for (const card of byId("regions").children) card.classList.toggle("chosen", card.itemId === chosenId);
}

function regionCard(region, onChoose) {
  const [low, high] = region.energy_span_ev;
  const lines = [
    [`${fixed(low, 0)}–${fixed(high, 0)} eV`, regionAmount(region)],
    [`p ${chance(region.p_value)}`, `score ${fixed(region.score)}`, `${whole(region.pixels)} pixels`],
    [place(region.region)],
  ];
  const head = element("button", { type: "button", className: "head", textContent: region.label });
  head.onclick = () => onChoose(region);
  const propose = element("button", { type: "button", textContent: "Ask for a rescan" });
  propose.onclick = () => act(propose, "api/rescans", { scan: region.scan, region: region.region, dwell_factor: 4 });
  return element("li", { className: "card" }, [
    head,
    ...lines.map((parts) => element("p", { textContent: parts.filter(Boolean).join(" · ") })),
    element("div", { className: "row" }, [propose]),
  ]);
}

export function showRescans(rescans) {
  const waiting = rescans.filter(({ state }) => state === "proposed");
  const others = rescans.filter(({ state }) => state !== "proposed");
  byId("decide").hidden = waiting.length === 0;
  setText(byId("decide-count"), waiting.length === 1 ? "one rescan asked for" : `${waiting.length} rescans asked for`);
  byId("rescans-none").hidden = others.length > 0;
  const newestFirst = (list) => list.sort((a, b) => (b.history.at(-1)?.t_ns ?? 0) - (a.history.at(-1)?.t_ns ?? 0));
  reconcile(byId("proposals"), newestFirst(waiting).slice(0, SHOWN), rescanCard);
  reconcile(byId("rescans"), newestFirst(others).slice(0, SHOWN), rescanCard);
}

function rescanCard(rescan) {
  const [icon, words, tone] = STATES[rescan.state] ?? ["•", rescan.state, ""];
  const { reason } = rescan;
  const why = [reason.label, isNumber(reason.p_value) ? `p ${chance(reason.p_value)}` : ""].filter(Boolean).join(" · ");
  const what = `${place(rescan.region)}, dwell time × ${Number(rescan.dwell_factor.toPrecision(3))}`;
  const last = rescan.history.at(-1);
  const row = [element("span", { className: `badge ${tone}`, textContent: `${icon} ${words}` })];
  if (rescan.state === "proposed") {
    row.push(element("span", { className: "expiry" }));
  }
  const children = [
    element("strong", { textContent: why || "asked for by hand" }),
    element("p", { textContent: `${what} · scan ${rescan.scan}` }),
    element("div", { className: "row" }, row),
  ];
  if (rescan.state === "proposed") {
    const buttons = [decide(rescan, "approve", "✔ Approve"), decide(rescan, "deny", "✖ Deny")];
    children.push(element("div", { className: "row" }, buttons));
  }
  if (last?.message) children.push(element("p", { textContent: last.message }));
  if (rescan.child_scan) children.push(element("p", { textContent: `came back as scan ${rescan.child_scan}` }));
  children.push(element("details", {}, [
    element("summary", { textContent: "History" }),
    element("ol", {}, rescan.history.map((step) => element("li", { textContent: stepWords(step) }))),
  ]));
  return element("li", { className: "card", expiresNs: rescan.expires_ns }, children);
}

function stepWords({ state, t_ns, who, message }) {
  const time = new Date(t_ns / 1e6).toLocaleTimeString("en-GB");
  return `${time} ${state} by ${who}${message ? `: ${message}` : ""}`;
}

function decide(rescan, verb, words) {
  const button = element("button", { type: "button", className: verb, textContent: words });
  button.onclick = () => act(button, `${rescanPath(rescan.id)}/${verb}`);
  return button;
}

async function act(button, path, body) {
  const buttons = [...button.parentElement.querySelectorAll("button")];
  for (const each of buttons) each.disabled = true;
  try {
    await call("POST", path, body);
  } catch (error) {
    notice(error.message);
  }
  for (const each of buttons) each.disabled = false;
}

/** Once a second: how long each proposal still stands, by the server's clock. */
export function tickExpiries(serverNowNs) {
  for (const card of byId("proposals").children) {
    const span = card.querySelector(".expiry");
    if (span) setText(span, `for ${duration(Math.max(card.expiresNs - serverNowNs, 0) / 1e9)} more`);
  }
}
