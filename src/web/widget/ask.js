// The form by which a channel is linked: what is asked for is checked here for slips only; the bridge decides.

import { $, busy, button, fault, make, name, tell } from "./dom.js";

const CHANNEL_BYTES_MAX = 300;
// What channels begin with, of all networks; by far the most with the first.
const CHANNEL_SIGNS = "#&+!";
const OPERATORS_SHOWN = 30;

export class Ask {
  #api;
  #room;
  #links;
  #networks;
  #news = $("ask-news");
  // The link whose answer this form awaits.
  #awaited = null;

  constructor(api, room, networks) {
    this.#api = api;
    this.#room = room;
    this.#networks = networks;
    for (const network of networks) $("network").add(new Option(network.name, network.id));
    const bots = [...new Set(networks.map((network) => network.bot_user_id))];
    $("bot").replaceChildren("The bridge's bot has to be in the room: ", ...bots.flatMap((bot, at) => (at === 0 ? [name(bot)] : [", ", name(bot)])), ".");
    $("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    $("show-operators").addEventListener("click", () => this.#lookUp());
    for (const id of ["network", "channel", "key"]) $(id).addEventListener("input", () => this.#hideOperators());
    $("operator").addEventListener("input", () => this.#press());
  }

  follow(links) {
    this.#links = links;
  }

  // Hears from the list how waiting ended.
  over(link, how) {
    const linked = [name(link.channel), " is linked. What is said in one place is heard in the other."];
    const gone = ["The question about ", name(link.channel), " is over, and it is not linked: its operators said no, or it was taken back. The room was told."];
    tell(this.#news, how === "linked" ? "" : "bad", ...(how === "linked" ? linked : gone));
    this.#awaited = null;
  }

  // What the form holds, or null where a field is marked as wrong.
  #read() {
    const network = this.#networks.find(({ id }) => id === $("network").value);
    const key = $("key").value.trim();
    const operator = $("operator").value.trim();
    let channel = $("channel").value.trim();
    if (channel && !CHANNEL_SIGNS.includes(channel[0])) channel = `#${channel}`;
    const wrong = channelFault(channel);
    fault($("key"), null);
    fault($("channel"), wrong);
    if (wrong !== null) return null;
    $("channel").value = channel;
    if (/[^!-~]/.test(key)) {
      fault($("key"), "A key is made of Latin letters, digits and signs, without spaces.");
      return null;
    }
    return { network, channel, key, operator };
  }

  #submit() {
    return busy($("ask"), async () => {
      const wish = this.#read();
      if (wish === null) return tell(this.#news, "");
      tell(this.#news, "wait", "Asking ", name(wish.network.name), " about ", name(wish.channel), ". This can take two minutes.");
      try {
        const told = await this.#api.link(this.#room, wish.network.id, wish.channel, wish);
        if (told.state === "linked") this.over({ channel: told.channel }, "linked");
        else this.#wait(told);
        $("key").value = "";
        await this.#follow(wish.network.id, told);
      } catch (refusal) {
        tell(this.#news, "bad", refusal.message);
      }
    });
  }

  #wait({ channel, operators }) {
    this.#awaited = channel;
    const whom = operators.length > 0 ? [...nicks(operators), operators.length === 1 ? " is asked." : " are asked."] : ["The operators are asked."];
    tell(this.#news, "wait", ...whom, " The answer shows here, and in the room; you may close this page.");
  }

  // Watches the list for the answer, which may have come before the first look.
  async #follow(network, { state, channel }) {
    const looked = await this.#links.refresh().then(() => true, () => false);
    if (state !== "asked" || this.#awaited === null) return;
    if (looked && !this.#links.has(network, channel)) this.over({ channel }, "gone");
    else this.#links.watchAnew();
  }

  #lookUp() {
    return busy($("show-operators"), async () => {
      const wish = this.#read();
      if (wish === null) return;
      this.#hideOperators();
      tell(this.#news, "wait", "Looking into ", name(wish.channel), ". This can take two minutes.");
      try {
        this.#show(await this.#api.operators(wish.network.id, wish.channel, wish.key), wish.channel);
      } catch (refusal) {
        tell(this.#news, "bad", refusal.message);
      }
    });
  }

  #show(operators, channel) {
    if (operators.length === 0) {
      tell(this.#news, "bad", "Nobody is in ", name(channel), " who could say that it may be linked.");
      return;
    }
    const chips = operators.slice(0, OPERATORS_SHOWN).map((nick) => {
      const chip = button("", "small", () => {
        $("operator").value = $("operator").value === nick ? "" : nick;
        $("more").open = true;
        this.#press();
      });
      chip.append(name(nick));
      chip.dataset.nick = nick;
      return make("li", "", chip);
    });
    $("operator-list").replaceChildren(...chips);
    const more = operators.length - chips.length;
    $("operators-more").textContent = `and ${more} more`;
    $("operators-more").hidden = more === 0;
    $("operators-title").replaceChildren("Operators of ", name(channel));
    $("operators").hidden = false;
    this.#press();
    tell(this.#news, "", `${operators.length === 1 ? "One operator is" : `${operators.length} operators are`} there. Choose one to ask only them, or leave it to the bridge.`);
  }

  #press() {
    for (const chip of $("operator-list").querySelectorAll("button")) {
      chip.setAttribute("aria-pressed", String(chip.dataset.nick === $("operator").value.trim()));
    }
  }

  #hideOperators() {
    $("operators").hidden = true;
    $("operator-list").replaceChildren();
  }
}

function channelFault(channel) {
  if (channel === "" || channel.length === 1) return "Which channel is it? Such as #fedora.";
  if (/[\s,\p{Cc}]/u.test(channel)) return "A channel's name has no spaces and no commas.";
  if (new TextEncoder().encode(channel).length > CHANNEL_BYTES_MAX) return "That name is too long for a channel.";
  return null;
}

// Some names in a row, for a sentence.
function nicks(all) {
  const shown = all.slice(0, 5);
  const parts = shown.flatMap((nick, at) => (at === 0 ? [name(nick)] : [", ", name(nick)]));
  return all.length > shown.length ? [...parts, ` and ${all.length - shown.length} more`] : parts;
}
