// The bridge's HTTP API, as far as this page needs it. Knows nothing of pages or of Matrix clients.
//
// A request that is refused for its session is made once more with a new one; everything else that goes wrong is a
// Refusal, whose message is a sentence for people. The token is kept in this page's memory and nowhere else.

const BASE = new URL("../_bunraku/api/v1/", import.meta.url);

// The bridge ends what it asks of a network after two minutes.
const NETWORK_MS = 130_000;
const DESK_MS = 30_000;

export class Refusal extends Error {
  // `code` is the errcode of the API; "" where there was no answer of its kind.
  constructor(words, status = 0, code = "") {
    super(words);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  #token = null;
  #renew;

  // `renew` gives a token, or fails with words: asked for the first one, and when one has run out.
  constructor(renew) {
    this.#renew = renew;
  }

  async enter() {
    this.#token = await this.#renew(this);
  }

  // Ends the session as the page goes. Nothing waits for the answer.
  leave() {
    if (this.#token === null) return;
    request("DELETE", "session", { token: this.#token, keepalive: true }).catch(() => {});
    this.#token = null;
  }

  // A session for what a Matrix client vouches for.
  async session(openid) {
    return (await request("POST", "openid", { body: openid })).token;
  }

  whoami() {
    return this.#call("GET", "whoami");
  }

  async networks() {
    return (await this.#call("GET", "networks")).networks;
  }

  async operators(network, channel, key) {
    const headers = key ? { "bunraku-channel-key": key } : {};
    const path = `networks/${part(network)}/channels/${part(channel)}`;
    return (await this.#call("GET", path, { headers, limitMs: NETWORK_MS })).operators;
  }

  async links(room) {
    return (await this.#call("GET", `rooms/${part(room)}/links`)).links;
  }

  link(room, network, channel, { key, operator }) {
    const body = {};
    if (key) body.key = key;
    if (operator) body.operator = operator;
    return this.#call("PUT", linkPath(room, network, channel), { body, limitMs: NETWORK_MS });
  }

  unlink(room, network, channel) {
    return this.#call("DELETE", linkPath(room, network, channel), { limitMs: NETWORK_MS });
  }

  async #call(method, path, options = {}) {
    const token = this.#token;
    try {
      return await request(method, path, { ...options, token });
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      // Another request may have brought a new one already.
      if (this.#token === token) await this.enter();
      return await request(method, path, { ...options, token: this.#token });
    }
  }
}

function linkPath(room, network, channel) {
  return `rooms/${part(room)}/links/${part(network)}/${part(channel)}`;
}

// One segment of a path. "." and ".." would be taken for steps; no id of ours is one of them.
function part(text) {
  return encodeURIComponent(text);
}

async function request(method, path, { token, body, headers = {}, limitMs = DESK_MS, keepalive = false }) {
  const init = {
    method,
    keepalive,
    headers: { ...headers },
    signal: AbortSignal.timeout(limitMs),
    cache: "no-store",
    credentials: "omit",
    referrerPolicy: "no-referrer",
  };
  if (token) init.headers.authorization = `Bearer ${token}`;
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer, told;
  try {
    answer = await fetch(new URL(path, BASE), init);
    told = await answer.json();
  } catch (fault) {
    const late = fault.name === "TimeoutError";
    if (answer === undefined || late) {
      throw new Refusal(late ? "The bridge has not answered in time." : "The bridge cannot be reached.");
    }
    told = null;
  }
  if (answer.ok && isObject(told)) return told;
  const words = isObject(told) && typeof told.error === "string" ? told.error : `The bridge answered with ${answer.status}, without a reason.`;
  throw new Refusal(words, answer.status, isObject(told) ? String(told.errcode ?? "") : "");
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
