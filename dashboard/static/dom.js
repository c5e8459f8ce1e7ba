// Small DOM helpers. Data goes in as text only: nothing here ever parses HTML.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Bring `parent`'s children in line with `items`; a child is made anew only when its item changed. */
export function reconcile(parent, items, make) {
  const old = new Map([...parent.children].map((node) => [node.itemId, node]));
  let at = 0;
  for (const item of items) {
    const text = JSON.stringify(item);
    let node = old.get(item.id);
    if (node === undefined || node.itemText !== text) {
      const wasOpen = node?.querySelector("details")?.open;
      const fresh = Object.assign(make(item), { itemId: item.id, itemText: text });
      if (wasOpen) fresh.querySelector("details").open = true;
      node?.replaceWith(fresh);
      node = fresh;
    }
    old.delete(item.id);
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
    at += 1;
  }
  for (const node of old.values()) node.remove();
}

/** Options as [value, text] pairs; the chosen one stays. */
export function setOptions(select, options, chosen) {
  const key = JSON.stringify(options);
  if (select.optionsKey !== key) {
    select.optionsKey = key;
    select.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text })));
  }
  if (select.value !== chosen) select.value = chosen;
}

let noticeTimer = 0;

/** What went wrong, in words, for ten seconds. */
export function notice(text) {
  const box = byId("notice");
  box.textContent = `⚠ ${text}`;
  box.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { box.hidden = true; }, 10_000);
}
