// Small hands for the page. Whatever comes from outside becomes text here and never markup.

export const $ = (id) => document.getElementById(id);

// An element with a class and children; text children stay text.
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// A name from outside: whatever direction it is written in, it cannot turn the words around it. `bdi` alone is not enough: an
// isolate that a name leaves open is closed by the end of the `bdi`, which then stays open itself.
export function name(text) {
  return make("bdi", "", undirected(text));
}

function undirected(text) {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "").replace(/\p{Cc}/gu, "\ufffd");
}

export function button(words, className, onClick) {
  const made = make("button", className, words);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

// Says something in a live region; `kind` is "", "wait" or "bad". Parts may be elements.
export function tell(region, kind, ...parts) {
  region.className = `news ${kind}`.trim();
  region.replaceChildren(...parts.map((part) => (typeof part === "string" ? undirected(part) : part)));
}

// Marks a field as wrong, with the reason, and takes the focus there; `null` marks it as right.
export function fault(field, words) {
  const place = $(`${field.id}-fault`);
  place.textContent = words ?? "";
  place.hidden = words === null;
  if (words === null) {
    field.removeAttribute("aria-invalid");
    return;
  }
  field.setAttribute("aria-invalid", "true");
  field.closest("details")?.setAttribute("open", "");
  field.focus();
}

// Runs `work` unless the button is at work already. The button keeps the focus, which `disabled` would take.
export async function busy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
