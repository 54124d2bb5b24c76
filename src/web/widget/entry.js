// How somebody comes in: through the Matrix client around the page, or with a session that an integration manager made for
// them and put behind the address's #. Nobody is asked for a password or a token.

import { MatrixClient } from "./matrix.js";
import { Refusal } from "./api.js";

// What the address says: the room, and which way in there is ("client", "handed" or "none").
export function readAddress(onTheme) {
  const query = new URLSearchParams(location.search);
  const behind = new URLSearchParams(location.hash.slice(1));
  const token = behind.get("token");
  // Out of the address bar, the history, and what people copy.
  if (location.hash) history.replaceState(history.state, "", location.pathname + location.search);
  onTheme(filled(query.get("theme")));
  const room = filled(behind.get("roomId")) ?? filled(query.get("roomId"));
  const widgetId = filled(query.get("widgetId"));
  if (token) return { way: "handed", room, renew: handed(token) };
  if (widgetId !== null || window.parent !== window) {
    return { way: "client", room, renew: byClient(new MatrixClient(widgetId, onTheme)) };
  }
  return { way: "none", room, renew: null };
}

// A client that does not know a placeholder leaves it as it is.
function filled(value) {
  return value && !value.startsWith("$") ? value : null;
}

function handed(token) {
  let fresh = token;
  return async () => {
    if (fresh === null) throw new Refusal("Your session is over. Open this page again from where you came.", 401);
    const now = fresh;
    fresh = null;
    return now;
  };
}

function byClient(client) {
  let under = null;
  const ask = async (api, onPerson) => api.session(await client.openid(onPerson));
  // Several requests may miss their session at once; the client is asked once.
  return (api, onPerson = () => {}) => {
    under ??= ask(api, onPerson).finally(() => { under = null; });
    return under;
  };
}

// The message that adds this page to a room, with the placeholders that clients fill in.
export function addWidgetMessage() {
  const page = location.origin + location.pathname;
  const filledIn = "roomId=$matrix_room_id&widgetId=$matrix_widget_id&userId=$matrix_user_id&theme=$org.matrix.msc2873.client_theme";
  return `/addwidget ${page}?${filledIn}`;
}
