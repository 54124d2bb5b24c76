// The list of what a room is linked with: shown, looked at again while an answer is awaited, and ended.

import { $, busy, button, make, name, tell } from "./dom.js";
import { watch } from "./watch.js";

export class Links {
  #api;
  #room;
  #nameOf;
  #news = $("links-news");
  // By network and channel: the row, and the link that it shows.
  #rows = new Map();
  #watching = null;
  #onOver;
  // Each look has a number: an answer that comes behind a later one is not shown.
  #look = 0;

  // `nameOf`: a network's name by its id. `onOver`: hears that waiting is over, with the link and how ("linked", "gone").
  constructor(api, room, nameOf, onOver) {
    this.#api = api;
    this.#room = room;
    this.#nameOf = nameOf;
    this.#onOver = onOver;
    $("look-again").addEventListener("click", () => this.#lookAgain());
  }

  // Reads and shows the list. Fails as the API does.
  async refresh() {
    const look = ++this.#look;
    const links = await this.#api.links(this.#room);
    if (look === this.#look) this.show(links);
  }

  // Whether such a link is shown.
  has(network, channel) {
    return this.#rows.has(keyOf({ network, channel }));
  }

  show(links) {
    const now = new Map(links.map((link) => [keyOf(link), link]));
    for (const [key, row] of this.#rows) {
      if (now.has(key)) continue;
      const hadFocus = row.item.contains(document.activeElement);
      row.item.remove();
      this.#rows.delete(key);
      if (hadFocus) $("links-title").focus();
      if (row.link.state === "asked" && !row.ending) this.#onOver(row.link, "gone");
    }
    for (const [key, link] of now) {
      const row = this.#rows.get(key);
      if (row === undefined) this.#add(key, link);
      else this.#change(row, link);
    }
    $("links-none").hidden = now.size > 0;
    this.#watchWhere(links.some((link) => link.state === "asked"));
  }

  #add(key, link) {
    const state = make("span", "");
    const title = make("span", "name", name(link.channel), " on ", name(this.#nameOf(link.network)));
    const item = make("li", "", make("div", "what", title, state));
    const row = { item, state, link, ending: false };
    item.append(this.#ender(row));
    describe(row);
    this.#rows.set(key, row);
    $("links").append(item);
  }

  #change(row, link) {
    const was = row.link.state;
    row.link = link;
    if (was === link.state) return;
    describe(row);
    row.item.lastElementChild.replaceWith(this.#ender(row));
    if (was === "asked" && link.state === "linked") this.#onOver(link, "linked");
  }

  // The button that ends a link; it asks once more, so that nobody ends one by a slip.
  #ender(row) {
    const asked = row.link.state === "asked";
    const words = asked ? "Withdraw" : "Unlink";
    const first = button(words, "small away", () => {
      const keep = button("Keep it", "small", back);
      const yes = button(asked ? "Yes, withdraw" : "Yes, unlink", "small away", () => busy(yes, () => this.#end(row, sure)));
      const sure = make("div", "sure", yes, keep);
      sure.setAttribute("role", "group");
      sure.setAttribute("aria-label", `${words} ${row.link.channel}?`);
      sure.addEventListener("keydown", (event) => { if (event.key === "Escape") back(); });
      first.replaceWith(sure);
      keep.focus();
      function back() {
        sure.replaceWith(first);
        first.focus();
      }
    });
    first.setAttribute("aria-label", `${words} ${row.link.channel} on ${this.#nameOf(row.link.network)}`);
    return first;
  }

  async #end(row, sure) {
    const { network, channel, state } = row.link;
    row.ending = true;
    tell(this.#news, "wait", "One moment: ", name(channel), " is being unlinked.");
    try {
      await this.#api.unlink(this.#room, network, channel);
      // Where the list cannot be read now, the row is gone all the same.
      if (sure.contains(document.activeElement)) $("links-title").focus();
      tell(this.#news, "", name(channel), state === "asked" ? " is not asked any more." : " is not linked any more. What was said stays in the room.");
      await this.refresh().catch(() => this.#drop(row));
    } catch (refusal) {
      row.ending = false;
      tell(this.#news, "bad", refusal.message);
    }
  }

  #drop(row) {
    row.item.remove();
    this.#rows.delete(keyOf(row.link));
    $("links-none").hidden = this.#rows.size > 0;
  }

  #watchWhere(waiting) {
    if (!waiting) {
      this.#watching?.stop();
      this.#watching = null;
    } else if (!this.#watching?.running) {
      this.#begin();
    }
  }

  // A new question begins the clock anew.
  watchAnew() {
    this.#watching?.stop();
    this.#begin();
  }

  #begin() {
    this.#watching = watch(
      async () => {
        await this.refresh();
        return this.#watching !== null;
      },
      () => tell(this.#news, "wait", "No answer for half an hour, so this page has stopped looking. The question stands; the room is told what becomes of it. Look again whenever you like."),
    );
  }

  async #lookAgain() {
    await busy($("look-again"), async () => {
      try {
        await this.refresh();
        const waiting = [...this.#rows.values()].filter((row) => row.link.state === "asked").length;
        tell(this.#news, "", `${count(this.#rows.size, "channel")} here${waiting ? `, ${waiting} of which still waits for an answer` : ""}.`);
      } catch (refusal) {
        tell(this.#news, "bad", refusal.message);
      }
    });
  }
}

function keyOf({ network, channel }) {
  return JSON.stringify([network, channel]);
}

function describe({ state, link }) {
  state.className = `state ${link.state === "asked" ? "asked" : ""}`.trim();
  if (link.state === "linked") {
    state.textContent = "linked";
    return;
  }
  const since = Number.isFinite(link.since_ms) ? `, since ${moment(link.since_ms)}` : "";
  state.textContent = `waiting for its operators${since}`;
}

function moment(ms) {
  const when = new Date(ms);
  const today = when.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat("en-GB", today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" }).format(when);
}

function count(number, noun) {
  return number === 1 ? `One ${noun}` : `${number === 0 ? "No" : number} ${noun}s`;
}
