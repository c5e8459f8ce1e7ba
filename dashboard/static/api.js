// Calls of the /api routes. Where the server wants a token, the operator is asked once; it stays in this tab's session.

import { byId } from "./dom.js";

const TOKEN_KEY = "eelswatch.token";

/** The JSON answer; throws Error whose message is the server's `detail` or what went wrong, in words. */
export async function call(method, path, body) {
  let answer = await send(method, path, body);
  while (answer.status === 401) {
    const refused = sessionStorage.getItem(TOKEN_KEY) !== null;
    sessionStorage.removeItem(TOKEN_KEY);
    const token = await askToken(refused ? "That token was not accepted." : "This change needs the operator's token.");
    if (token === null) throw new Error("Nothing was changed: no token was given.");
    sessionStorage.setItem(TOKEN_KEY, token);
    answer = await send(method, path, body);
  }
  const json = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(describe(json, answer.status));
  return json;
}

export const scanPath = (scan) => `api/scans/${encodeURIComponent(scan)}`;
export const rescanPath = (id) => `api/rescans/${encodeURIComponent(id)}`;

async function send(method, path, body) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer.");
  }
}

function describe(json, status) {
  if (typeof json?.detail === "string") return json.detail;
  return `The server refused with HTTP status ${status}.`;
}

function askToken(words) {
  const dialog = byId("token");
  const field = byId("token-value");
  byId("token-words").textContent = words;
  field.value = "";
  return new Promise((resolve) => {
    const finish = (token) => {
      dialog.onclose = null;
      dialog.close();
      field.value = "";
      resolve(token);
    };
    byId("token-send").onclick = () => finish(field.value.trim() || null);
    byId("token-cancel").onclick = () => finish(null);
    field.onkeydown = (event) => { if (event.key === "Enter") finish(field.value.trim() || null); };
    dialog.onclose = () => finish(null);
    if (!dialog.open) dialog.showModal();
    field.focus();
  });
}
