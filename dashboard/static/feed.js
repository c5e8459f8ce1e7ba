// The websocket: decodes frames, reconnects with backoff, notices silence.

const SILENCE_MS = 4000;
const LONGEST_WAIT_MS = 8000;

/** uint32 LE header length, JSON header, float32 arrays; each map entry gets its layers as views of the buffer. */
export function decode(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let at = 4 + size;
  for (const map of header.maps) {
    const length = map.rows.length * map.shape[1];
    map.arrays = {};
    for (const name of map.layers) {
      map.arrays[name] = new Float32Array(buffer, at, length);
      at += 4 * length;
    }
  }
  return header;
}

export class Feed {
  constructor(onHeader, onFresh) {
    this.onHeader = onHeader;
    this.onFresh = onFresh;
    this.wish = { watch: null, beside: null };
    this.messages = 0;
    this.lastMs = null;
    this.connected = false;
    this.waitMs = 250;
  }

  open() {
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    let first = true;
    socket.onopen = () => this.tell();
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      if (first) this.onFresh();
      first = false;
      this.connected = true;
      this.waitMs = 250;
      this.messages += 1;
      this.lastMs = performance.now();
      this.onHeader(decode(data));
    };
    socket.onclose = () => { if (this.socket === socket) this.reopen(); };
  }

  reopen() {
    this.connected = false;
    this.socket = null;
    setTimeout(() => this.open(), this.waitMs * (0.75 + Math.random() / 2));
    this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
  }

  /** Ask for another scan, or for another one beside it; the same wish is not sent twice. */
  ask(wish) {
    if (wish.watch === this.wish.watch && wish.beside === this.wish.beside) return;
    this.wish = { watch: wish.watch, beside: wish.beside };
    this.tell();
  }

  tell() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(this.wish));
  }

  /** Seconds since the last message; null before the first. */
  silentS() {
    return this.lastMs === null ? null : (performance.now() - this.lastMs) / 1000;
  }

  /** Called once in a while: a socket that says nothing for long is as good as lost. */
  check() {
    if (this.connected && performance.now() - this.lastMs > SILENCE_MS) {
      const silent = this.socket;
      this.reopen();
      silent?.close();
    }
  }
}
