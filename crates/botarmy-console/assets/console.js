// The script of the console. Every page works without it.
"use strict";

const page = document.body.dataset;
const prefix = page.prefix ?? "";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
document.documentElement.classList.add("scripted");

// A transition to a page that comes without one is given up, which is no error.
for (const kind of ["pageswap", "pagereveal"]) {
  addEventListener(kind, ({ viewTransition: transition }) => {
    for (const promise of [transition?.ready, transition?.finished]) promise?.catch(() => {});
  });
}

// ---- Sign-in -------------------------------------------------------------------------------------

// A sign-in link has its code in the fragment, which browsers send nowhere. It leaves the address bar,
// and so the history, before it is sent.
const signIn = one("form[data-code]");
function useLink() {
  const code = location.hash.slice(1);
  if (!signIn || !code.startsWith("botarmy_l_")) return;
  history.replaceState(null, "", location.pathname + location.search);
  signIn.elements.code.value = code;
  signIn.requestSubmit();
}
useLink();
addEventListener("hashchange", useLink);

// ---- Times ---------------------------------------------------------------------------------------

// Times are in UTC; people read them in their own time zone, and see the other one when they point at
// them. Distances from now grow older with the page.
const UNITS = [[86400, "day"], [3600, "h"], [60, "min"], [1, "s"]];
function duration(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? UNITS[3];
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""}`;
}
function distance(text, date) {
  const seconds = Math.round((date - Date.now()) / 1000);
  const before = text.match(/^(Expires )?in /)?.[1];
  if (/^(Expires )?in |ago$|^just now$/.test(text)) {
    if (seconds > 0) return `${before ?? ""}in ${duration(seconds)}`;
    if (before) return "Expires now";
    return seconds > -1 ? "just now" : `${duration(-seconds)} ago`;
  }
  return text;
}
function localise(root) {
  for (const time of all("time[datetime]", root)) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const near = "near" in time.dataset;
    const utc = (time.dataset.utc ??= near ? time.title : time.textContent);
    const local = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    time.title = near ? ("utc" in page ? utc : `${local} · ${utc}`) : utc;
    const { clock } = time.dataset;
    if (clock) {
      // Times in a log or on an axis are short, and have a date only if they are not of today.
      time.title = `${local} · ${date.toISOString()}`;
      const isToday = date.toDateString() === new Date().toDateString();
      // On an axis of some minutes the seconds differ, and no date is needed.
      const shown = clock === "exact" ? { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }
        : isToday ? { timeStyle: clock } : { dateStyle: "short", timeStyle: "short" };
      if (!("utc" in page)) time.textContent = date.toLocaleString(undefined, shown);
    } else if (near) time.textContent = distance(time.textContent, date);
    else if (!("utc" in page)) time.textContent = local;
  }
}
localise(document);
setInterval(() => document.hidden || localise(document), 20_000);

// On a small screen the current tab may be beside it.
for (const tab of all(".tabs [aria-current]")) {
  const tabs = tab.parentElement;
  tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - 16;
}

// ---- Live parts ----------------------------------------------------------------------------------

// Makes an element like another one. Rows that have the same version stay as they are, with focus,
// selection and scroll; so does every element that is at the same place in both.
function sync(old, fresh) {
  if (old.dataset.v && old.dataset.v === fresh.dataset.v) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  let next = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const same = node.id && [...old.children].find((child) => child.id === node.id);
    if (same) {
      if (same === next) next = next.nextSibling;
      else old.insertBefore(same, next);
      sync(same, node);
    } else if (next && !next.id && !node.id && next.nodeName === node.nodeName) {
      if (node.nodeType === Node.ELEMENT_NODE) sync(next, node);
      else if (next.data !== node.data) next.data = node.data;
      next = next.nextSibling;
    } else {
      old.insertBefore(node, next);
    }
  }
  while (next) next = drop(next);
}
// Removes a node, and hands its focus to the row that takes its place.
function drop(node) {
  const next = node.nextSibling;
  const had = node.contains(document.activeElement);
  const heir = node.nextElementSibling ?? node.previousElementSibling;
  node.remove();
  if (had) (heir && (one("a, button, input", heir) ?? heir))?.focus({ preventScroll: true });
  return next;
}

const form = one("#decide-form");
const indicator = one("#live");
let socket = null;
let retries = 0;
let lost = 0;
let heard = Date.now();
let asleep = 0;

// Parts of the page that are due, each at most once a second.
const tags = new Map();
const due = new Map();
function source(part) {
  if (part.dataset.src) return part.dataset.src;
  const url = new URL(location);
  url.hash = "";
  // A page that answers a form is at the address of the form.
  url.pathname = url.pathname.replace(/\/answer$/, "").replace(/\/budget$/, "/usage");
  url.searchParams.set("part", part.dataset.part);
  if (form && part.dataset.part === "state") {
    url.searchParams.set("seen", form.elements.subject_digest.value);
  }
  return url;
}
function mark(part) {
  if (document.hidden || due.has(part)) return;
  const last = Number(part.fetched ?? 0);
  const delay = Math.max(250, last + 1000 - Date.now());
  due.set(part, setTimeout(() => refresh(part), delay));
}
// Rows that would arrive above what is being read are held back, until they are asked for or the reader
// comes to their place.
const held = new Map();
const later = document.createElement("button");
later.className = "btn primary held";
later.type = "button";
later.hidden = true;
one(".top")?.after(later);
const barHeight = () => one(".top")?.offsetHeight ?? 0;
function hold(part, fresh) {
  const edge = barHeight();
  let next = null;
  let count = 0;
  for (const row of all("[data-v][id]", fresh).reverse()) {
    const known = document.getElementById(row.id);
    if (known && part.contains(known)) next = known;
    else if (next && next.getBoundingClientRect().top < edge) {
      row.remove();
      count += 1;
    }
  }
  if (count) {
    // The part is not as the server has it, so its version is not that one.
    delete fresh.dataset.v;
    held.set(part, count);
  } else held.delete(part);
  offer();
}
function offer() {
  const count = [...held.values()].reduce((sum, one) => sum + one, 0);
  later.hidden = !count;
  later.textContent = `${count} new`;
}
function release(part) {
  held.delete(part);
  tags.delete(part);
  offer();
  return refresh(part, true);
}
later.addEventListener("click", async () => {
  const [[part]] = held;
  await Promise.all([...held.keys()].map(release));
  part.scrollIntoView();
  one("[data-v] a", part)?.focus({ preventScroll: true });
});
addEventListener("scroll", () => {
  const edge = barHeight();
  for (const part of held.keys()) if (part.getBoundingClientRect().top >= edge) release(part);
}, { passive: true });
async function refresh(part, isAsked = false) {
  due.delete(part);
  part.fetched = Date.now();
  const headers = tags.has(part) ? { "If-None-Match": tags.get(part) } : {};
  const response = await fetch(source(part), {
    headers,
    cache: "no-store",
    signal: AbortSignal.timeout(10_000),
  }).catch(() => null);
  if (!response || response.redirected) return stale();
  if (response.status !== 200) return;
  tags.set(part, response.headers.get("etag"));
  const fresh = parsed(await response.text()).body.firstElementChild;
  if (!fresh) return;
  if (part.dataset.count !== undefined) return count(fresh);
  if (!isAsked) hold(part, fresh);
  sync(part, fresh);
  localise(part);
  if (part.dataset.part === "state") judge(part);
  part.dispatchEvent(new CustomEvent("fresh", { bubbles: true }));
}
// The request was decided, has changed or has expired: the answer would be refused.
function judge(part) {
  const head = one("[data-digest]", part);
  const open = head && "pending" in head.dataset;
  if (!form || (open && head.dataset.digest === form.elements.subject_digest.value)) return;
  for (const gone of all("button, .final", form)) gone.remove();
  one(".decidebar")?.remove();
  one("#confirm-dialog")?.close();
}

// The number of waiting requests: in the navigation, the title, the icon and the badge.
function count(fresh) {
  const number = fresh.dataset.waiting;
  for (const place of all("[data-waiting]")) {
    place.dataset.waiting = number;
    place.replaceChildren(...[...fresh.cloneNode(true).childNodes]);
  }
  if (page.title) document.title = `${page.title}${number === "0" ? "" : ` (${number})`} · BotArmy`;
  const icon = one("link[rel=icon]");
  if (icon) icon.href = fresh.dataset.icon;
  badge(number);
}
function badge(number) {
  const value = Number.parseInt(number, 10);
  (value ? navigator.setAppBadge?.(value) : navigator.clearAppBadge?.())?.catch(() => {});
}
const counter = one("[data-waiting]");
if (counter) {
  counter.dataset.count = "";
  counter.dataset.src = `${prefix}/console/waiting`;
  counter.dataset.live = "all hitl_";
  badge(counter.dataset.waiting);
}

function tell(event) {
  for (const part of all("[data-live]")) {
    const [topic, kind = ""] = part.dataset.live.split(" ");
    const mine = topic === "all" || topic === `project:${event?.project_id}`;
    if (!event || (mine && event.event_type.startsWith(kind))) mark(part);
  }
}
function stale() {
  if (!indicator) return;
  const time = new Date(heard).toLocaleTimeString(undefined, { timeStyle: "short" });
  indicator.classList.add("stale");
  indicator.firstElementChild.textContent = `as of ${time}`;
  indicator.hidden = false;
}
function fresh() {
  clearTimeout(lost);
  lost = 0;
  heard = Date.now();
  indicator.classList.remove("stale");
  indicator.firstElementChild.textContent = "Live";
  indicator.hidden = false;
}
async function connect() {
  if (!indicator || socket || document.hidden) return;
  socket = true;
  const body = new URLSearchParams({ form_token: page.token ?? "" });
  const response = await fetch(`${prefix}/console/ticket`, {
    method: "POST",
    body,
    signal: AbortSignal.timeout(10_000),
  }).catch(() => null);
  if (response?.status !== 201) return again(response);
  const { protocols } = await response.json();
  const url = new URL(`${prefix}/ws?project_id=${page.follows}`, location);
  url.protocol = url.protocol.replace("http", "ws");
  const opened = new WebSocket(url, protocols);
  socket = opened;
  opened.onopen = () => {
    retries = 0;
    fresh();
    // Between the page and this moment something may have happened.
    tell(null);
  };
  opened.onmessage = ({ data }) => {
    heard = Date.now();
    let event;
    try { event = JSON.parse(data); } catch { return; }
    if (!event.event_type) return;
    tell(event.event_type === "gap" ? null : event);
    notify(event);
  };
  opened.onclose = () => socket === opened && again();
}
async function again(response) {
  socket = null;
  lost ||= setTimeout(stale, 3000);
  // Signed out, or a token of an earlier session: the page has to be loaded again.
  if ([401, 403, 404].includes(response?.status)) {
    clearTimeout(lost);
    stale();
    if (response.status === 401) indicator.firstElementChild.textContent = "Signed out";
    return;
  }
  retries += 1;
  await wait(Math.min(5000, 500 * 2 ** Math.min(retries, 6)) * (0.75 + Math.random() / 2));
  connect();
}
function close() {
  const open = socket;
  socket = null;
  if (open instanceof WebSocket) open.close();
}
addEventListener("visibilitychange", () => {
  clearTimeout(asleep);
  if (document.hidden) {
    asleep = setTimeout(close, 300_000);
  } else {
    connect();
    tell(null);
  }
});
// A page with an open socket is not kept for the way back.
addEventListener("pagehide", close);
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  connect();
  tell(null);
});
connect();

// ---- Notifications -------------------------------------------------------------------------------

const CHOICE = "botarmy-notify";
function notify(event) {
  if (event.event_type !== "hitl_request_created" || localStorage.getItem(CHOICE) !== "on") return;
  if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
  const { hitl_request_id: id, question } = event.data ?? {};
  // Several tabs tell of one request once.
  const note = new Notification("A request is waiting for you", { body: question, tag: id });
  note.onclick = () => {
    focus();
    location.href = `${prefix}/console/requests/${id}`;
  };
}
const card = one("#notifications");
if (card && "Notification" in window) {
  card.hidden = false;
  const [button, state] = [one("#notify"), one("#notify-state")];
  const show = () => {
    const on = localStorage.getItem(CHOICE) === "on" && Notification.permission === "granted";
    button.textContent = on ? "Stop notifications" : "Allow notifications";
    state.textContent = Notification.permission === "denied"
      ? "This browser does not permit them."
      : on ? "They are on." : "They are off.";
  };
  button.addEventListener("click", async () => {
    const on = localStorage.getItem(CHOICE) === "on" && Notification.permission === "granted";
    if (!on) await Notification.requestPermission();
    localStorage.setItem(CHOICE, on ? "off" : "on");
    show();
  });
  show();
}

// ---- Dialogs -------------------------------------------------------------------------------------

// Shows a part of another page of the server in a dialog. Returns false if there is no such part.
function open(dialog, html, part) {
  const content = one(part, parsed(html));
  if (!content) return false;
  dialog.replaceChildren(content);
  localise(dialog);
  for (const cancel of all("[data-cancel]", dialog)) {
    cancel.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
  if (!dialog.open) dialog.showModal();
  return true;
}
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.busy) return;
  form.busy = true;
  const body = new URLSearchParams(new FormData(form));
  // A field of the form is called action, too.
  const path = form.getAttribute("action");
  const response = await fetch(path, { method: "POST", body }).catch(() => null);
  form.busy = false;
  const html = response?.ok ? await response.text() : "";
  // Anything but the question is a page of its own, with the typed text.
  if (!open(one("#confirm-dialog"), html, "#confirm")) form.submit();
});
async function help() {
  const response = await fetch(`${prefix}/console/help`).catch(() => null);
  if (!response?.ok) return;
  let dialog = one("#help-dialog");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "help-dialog";
    dialog.setAttribute("aria-labelledby", "help-title");
    document.body.append(dialog);
  }
  open(dialog, await response.text(), "#help");
}
addEventListener("click", ({ target }) => {
  // A click beside a dialog closes it.
  if (target instanceof HTMLDialogElement) target.close();
});

// ---- Copying -------------------------------------------------------------------------------------

async function copy(text, button) {
  await navigator.clipboard?.writeText(text).catch(() => {});
  if (!button) return;
  const label = button.lastChild;
  const before = label.data;
  label.data = "Copied";
  await wait(1500);
  label.data = before;
}
addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-copy], [data-curl]");
  if (!button) return;
  const { copy: text, curl } = button.dataset;
  const url = new URL(prefix + curl, location);
  // The key is that of the reader, from the environment.
  copy(text ?? `curl -H "Authorization: Bearer $BOTARMY_KEY" '${url}'`, button);
});

// ---- Keyboard ------------------------------------------------------------------------------------

function choose(action) {
  const radio = form && one(`input[name=action][value=${action}]`, form);
  if (!radio) return;
  radio.checked = true;
  const text = action === "amend" && (one("#words") ?? one("#document") ?? one("#tokens"));
  (text || radio).focus();
}
for (const link of all("[data-choose]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    one("#decide").scrollIntoView();
    choose(link.dataset.choose);
  });
}
function move(step) {
  const rows = all("main li[data-v] .what a, main tr[data-v] a.row");
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.closest("[data-v]").contains(document.activeElement));
  const row = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
  row.focus();
  row.closest("[data-v]").scrollIntoView({ block: "nearest" });
}
function turn(step) {
  const tabs = all(".tabs a");
  const at = tabs.findIndex((tab) => tab.hasAttribute("aria-current"));
  tabs[at + step]?.click();
}
function select() {
  const box = document.activeElement?.closest("[data-v]");
  box && one("input[type=checkbox]", box)?.click();
}
const go = (path) => () => { location.href = prefix + path; };
const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  x: select,
  a: () => choose("approve"),
  m: () => choose("amend"),
  r: () => choose("reject"),
  n: () => (one("#next-request") ?? one("#next"))?.click(),
  "[": () => turn(-1),
  "]": () => turn(1),
  c: () => copy(location.pathname.match(/[0-9a-f-]{36}/)?.[0] ?? location.href),
  "/": () => one("input[type=search]")?.focus(),
  "?": help,
};
const AFTER_G = {
  i: go("/console/inbox"),
  p: go("/console/projects"),
  s: go("/console/settings"),
};
let afterG = 0;
addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const dialog = one("dialog[open]");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (!form || dialog) return;
    event.preventDefault();
    form.requestSubmit();
    return;
  }
  const field = event.target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select");
  if (!("shortcuts" in page) || field || dialog) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const is = Date.now() - afterG < 1500 ? AFTER_G[event.key] : null;
  afterG = event.key === "g" ? Date.now() : 0;
  const action = is ?? KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
