// The setup widget: lets somebody in, then shows what their room is linked with and the form for more.
//
// Everything that is shown comes in by `dom.js` as text. No state outlives the page.

import { Api, Refusal } from "./api.js";
import { Ask } from "./ask.js";
import { $, busy, fault, name, tell } from "./dom.js";
import { addWidgetMessage, readAddress } from "./entry.js";
import { Links } from "./links.js";

const address = readAddress(setTheme);
const onPerson = () => tell($("entry-news"), "wait", "Your client asks you whether this page may know who you are. The bridge needs that to look at your rights in the room.");
const api = new Api((self) => address.renew(self, onPerson));

if (address.way === "none") showAlone();
else enter();

$("enter-again").addEventListener("click", () => busy($("enter-again"), enter));
$("copy").addEventListener("click", copy);
$("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  chooseRoom();
});
// A session of ours ends with the page; a page that is kept for the way back keeps it.
window.addEventListener("pagehide", (event) => {
  if (!event.persisted && address.way === "client") api.leave();
});

function setTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}

function showAlone() {
  $("entry").hidden = true;
  $("alone").hidden = false;
  $("title").textContent = "Link a room to IRC";
  $("addwidget").value = addWidgetMessage();
}

async function copy() {
  const field = $("addwidget");
  // Not every page may write there, and old browsers have none.
  const done = await Promise.resolve().then(() => navigator.clipboard.writeText(field.value)).then(() => true, () => false);
  if (!done) field.select();
  tell($("copy-news"), "", done ? "Copied." : "The message is selected: copy it with your keyboard.");
}

async function enter() {
  tell($("entry-news"), "wait", address.way === "client" ? "Asking your Matrix client who you are." : "One moment.");
  try {
    await api.enter();
    const who = await api.whoami();
    $("who").replaceChildren("You are ", name(who.user_id));
    $("who").hidden = false;
    const again = document.activeElement === $("enter-again");
    $("entry").hidden = true;
    if (again) $("title").focus();
    if (address.room !== null) await openDesk(address.room, who);
    else askForRoom(who);
  } catch (refusal) {
    $("entry").hidden = false;
    $("enter-again").hidden = address.way === "handed";
    tell($("entry-news"), "bad", refusal.message);
  }
}

// Who was let in without a room: asked for by the form, answered by `chooseRoom`.
let visitor = null;

function askForRoom(who) {
  visitor = who;
  $("title").textContent = "Link a room to IRC";
  $("which-room").hidden = false;
}

async function chooseRoom() {
  const room = $("room").value.trim();
  const wrong = /^![^\s]+$/.test(room) && room.length <= 255 ? null : "A room id begins with ! and has no spaces.";
  fault($("room"), wrong);
  if (wrong !== null) return;
  try {
    await openDesk(room, visitor);
    $("which-room").hidden = true;
    $("links-title").focus();
  } catch (refusal) {
    fault($("room"), refusal.message);
  }
}

async function openDesk(room, who) {
  if (who.permission === "user") {
    throw new Refusal("You may use this bridge, but not link rooms: those who run it let certain people do that. Ask them.");
  }
  // Both, before anything is shown: what fails here is tried again from the start.
  const [networks, found] = await Promise.all([api.networks(), api.links(room)]);
  const nameOf = (id) => networks.find((network) => network.id === id)?.name ?? id;
  const ask = new Ask(api, room, networks);
  const links = new Links(api, room, nameOf, (link, how) => ask.over(link, how));
  ask.follow(links);
  links.show(found);
  $("who").replaceChildren("You are ", name(who.user_id), ", room ", name(room));
  $("desk").hidden = false;
  $("asking").hidden = false;
}
