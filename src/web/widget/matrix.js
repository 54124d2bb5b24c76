// The Matrix client around this page, by the Widget API (postMessage): proves to it that we speak its language, wants
// nothing of the room, and asks it for an OpenID token, which says who sits there.
//
// A message counts when it comes from the window around us, is of the Widget API and names our widget; the first one fixes
// the origin for good. What is sent before goes to whatever window is there and says nothing but that the page is up.

const VERSIONS = ["0.0.1", "0.0.2"];
// A client that is there speaks at once; the person it asks may take their time.
const FIRST_WORD_MS = 3_000;
const ANSWER_MS = 15_000;
const PERSON_MS = 300_000;

export class MatrixClient {
  #around = window.parent;
  #origin = null;
  #widgetId;
  #heardOf;
  #onTheme;
  // The question for a token, while it is open.
  #asked = null;

  // `widgetId`: from the address, or null where the client's first message is to tell. `onTheme`: hears "light" or "dark".
  constructor(widgetId, onTheme) {
    this.#widgetId = widgetId;
    this.#onTheme = onTheme;
    const first = new Promise((resolve) => { this.#heardOf = resolve; });
    this.present = Promise.race([first, after(FIRST_WORD_MS)]);
    window.addEventListener("message", (event) => this.#heard(event));
    this.#send({ api: "fromWidget", action: "content_loaded", requestId: newId(), data: {} });
  }

  // The token, as the API takes it. Fails with words where the client or the person says no. `onPerson` is called when
  // the person is being asked.
  async openid(onPerson) {
    await this.present;
    this.#asked?.reject(new Error("It was asked for again."));
    const requestId = newId();
    const verdict = new Promise((resolve, reject) => {
      this.#asked = { requestId, resolve, reject, onPerson };
      this.#endAfter(ANSWER_MS, requestId, "No Matrix client answers around this page.");
    });
    this.#send({ api: "fromWidget", action: "get_openid", requestId, data: {} });
    return verdict;
  }

  #heard(event) {
    const message = event.data;
    if (event.source !== this.#around || typeof message !== "object" || message === null) return;
    const question = message.api === "toWidget" && message.response === undefined;
    const answer = message.api === "fromWidget" && this.#asked !== null
      && message.requestId === this.#asked.requestId && typeof message.response === "object" && message.response !== null;
    if (!question && !answer) return;
    if (typeof message.requestId !== "string" || typeof message.action !== "string") return;
    this.#widgetId ??= typeof message.widgetId === "string" ? message.widgetId : null;
    if (message.widgetId !== this.#widgetId || this.#widgetId === null) return;
    this.#origin ??= event.origin;
    if (event.origin !== this.#origin) return;
    this.#heardOf();
    if (question) this.#answer(message);
    else this.#judge(message.response);
  }

  #answer(message) {
    const data = typeof message.data === "object" && message.data !== null ? message.data : {};
    this.#send({ ...message, response: this.#answerTo(message.action, data) });
    // Behind the answer: whoever gets the token goes on at once.
    if (message.action === "openid_credentials" && data.original_request_id === this.#asked?.requestId) this.#judge(data);
  }

  #answerTo(action, data) {
    switch (action) {
      case "supported_api_versions":
        return { supported_versions: VERSIONS };
      case "capabilities":
        return { capabilities: [] };
      case "theme_change":
        this.#onTheme(data.name);
        return {};
      case "notify_capabilities":
      case "openid_credentials":
      case "visibility":
      case "language_change":
      case "widget_config":
        return {};
      default:
        return { error: { message: "This widget does not know that action." } };
    }
  }

  #judge({ state, error, access_token, matrix_server_name, token_type, expires_in }) {
    const asked = this.#asked;
    const vouched = typeof access_token === "string" && typeof matrix_server_name === "string";
    if (state === "request") {
      this.#endAfter(PERSON_MS, asked.requestId, "Your client has asked you whether this page may know who you are, and got no answer.");
      asked.onPerson();
      return;
    }
    this.#asked = null;
    if (state === "allowed" && vouched) {
      asked.resolve({ access_token, matrix_server_name, token_type: String(token_type ?? "Bearer"), expires_in: Number(expires_in) || 0 });
    } else if (state === "blocked") {
      asked.reject(new Error("Your client does not tell this page who you are, because you or its settings said no. The bridge has to know that to look at your rights in the room."));
    } else {
      const words = typeof error?.message === "string" ? error.message : "no token in its answer";
      asked.reject(new Error(`Your client could not say who you are: ${words}`));
    }
  }

  #endAfter(ms, requestId, words) {
    if (this.#asked?.timer) clearTimeout(this.#asked.timer);
    const end = () => {
      if (this.#asked?.requestId !== requestId) return;
      this.#asked.reject(new Error(words));
      this.#asked = null;
    };
    const timer = setTimeout(end, ms);
    if (this.#asked) this.#asked.timer = timer;
  }

  #send(message) {
    // The origin of a file or of a closed sandbox is told as "null", to which nothing can be addressed.
    const target = this.#origin === null || this.#origin === "null" ? "*" : this.#origin;
    this.#around.postMessage({ ...message, widgetId: this.#widgetId }, target);
  }
}

function newId() {
  return `bunraku-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
}

function after(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
