// The list of items, kept in this browser, with its form. What the items are called and which
// fields they have comes from data.js; a script panel.js may add to what is shown and checked.
"use strict";

(function () {
  const config = window.APP;
  const byId = (id) => document.getElementById(id);
  const titleField = config.fields[0];

  // ---- keeping ----------------------------------------------------------------------------

  let canKeep = true;
  let nextId = 1;

  function load() {
    try {
      const kept = JSON.parse(window.localStorage.getItem(config.storage_key));
      if (kept && Array.isArray(kept.items)) {
        return kept.items.map(readItem).filter(Boolean);
      }
    } catch {
      canKeep = isStorageThere();
    }
    return config.samples.map(readItem).filter(Boolean);
  }

  function isStorageThere() {
    try {
      window.localStorage.setItem(config.storage_key + ".probe", "1");
      window.localStorage.removeItem(config.storage_key + ".probe");
      return true;
    } catch {
      return false;
    }
  }

  function save() {
    try {
      window.localStorage.setItem(config.storage_key, JSON.stringify({ items }));
      canKeep = true;
    } catch {
      canKeep = false;
    }
    byId("storage-note").hidden = canKeep;
  }

  // Takes over the known fields of an object from outside, each with the type it must have.
  function readItem(raw) {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
      return null;
    }
    const item = { id: nextId };
    for (const field of config.fields) {
      const value = Object.hasOwn(raw, field.name) ? raw[field.name] : null;
      item[field.name] = readValue(field, value);
    }
    if (!item[titleField.name]) {
      return null;
    }
    nextId += 1;
    return item;
  }

  // "@day-3" stands for three days before today, "@week+2" for the Wednesday of this week, so that
  // samples are never out of date.
  function resolved(text) {
    return text.replace(/@(day|week)([+-]\d{1,4})/g, (_, start, days) => {
      const day = new Date();
      if (start === "week") {
        day.setDate(day.getDate() - ((day.getDay() + 6) % 7));
      }
      day.setDate(day.getDate() + Number(days));
      return isoDay(day);
    });
  }

  function isoDay(day) {
    const two = (number) => String(number).padStart(2, "0");
    return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
  }

  function readValue(field, value) {
    if (field.kind === "check") {
      return value === true || value === "on";
    }
    if (value === null || value === undefined || value === "") {
      return "";
    }
    if (["number", "money", "rating"].includes(field.kind)) {
      const number = Number(value);
      return Number.isFinite(number) ? number : "";
    }
    const text = ["string", "number"].includes(typeof value) ? String(value).trim() : "";
    return ["date", "days"].includes(field.kind) ? resolved(text) : text;
  }

  let items = load();

  // ---- showing ----------------------------------------------------------------------------

  function shown() {
    const words = byId("search").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const filter = byId("filter");
    const wanted = filter ? filter.value : "";
    const found = items.filter((item) => {
      if (wanted && item[filter.dataset.field] !== wanted) {
        return false;
      }
      const text = config.fields
        .map((field) => item[field.name])
        .join(" ")
        .toLocaleLowerCase();
      return words.every((word) => text.includes(word));
    });
    return found.sort(order(byId("sort").value));
  }

  function order(by) {
    if (by === "newest") {
      return (a, b) => b.id - a.id;
    }
    if (by === "oldest") {
      return (a, b) => a.id - b.id;
    }
    if (by === "name") {
      return (a, b) =>
        a[titleField.name].localeCompare(b[titleField.name], undefined, { numeric: true });
    }
    return (a, b) => {
      const [left, right] = [a[by], b[by]];
      if (left === "" || right === "") {
        return (left === "") - (right === "");
      }
      return left < right ? -1 : Number(left > right);
    };
  }

  function show() {
    const visible = shown();
    byId("list").replaceChildren(...visible.map(card));
    byId("empty").hidden = visible.length > 0;
    byId("empty-text").textContent =
      items.length === 0
        ? `There are no ${config.plural} yet. Add the first one.`
        : `Nothing matches. Search for something else, or add a new ${config.singular}.`;
    const noun = items.length === 1 ? config.singular : config.plural;
    byId("count").textContent =
      visible.length === items.length
        ? `${items.length} ${noun}`
        : `${visible.length} of ${items.length} ${noun}`;
    panel.show?.(visible);
  }

  function card(item) {
    const node = byId("card").content.firstElementChild.cloneNode(true);
    node.dataset.id = item.id;
    node.querySelector(".card-title").textContent = item[titleField.name];
    const body = node.querySelector(".card-body");
    const chips = element("p", "chips");
    const facts = element("dl", "facts");
    const later = [];
    for (const field of config.fields.slice(1)) {
      const value = item[field.name];
      if (field.kind === "check") {
        later.push(checkbox(item, field, node));
      } else if (value === "" || field.kind === "days" || field.kind === "lines") {
        continue;
      } else if (field.kind === "choice") {
        chips.append(element("span", "chip", value));
      } else if (field.kind === "long") {
        const details = element("details");
        details.append(element("summary", "", field.label), element("p", "long", value));
        later.push(details);
      } else if (field.kind === "link") {
        const link = webLink(value);
        if (link) {
          facts.append(element("dt", "", field.label), link);
        }
      } else if (field.kind === "photo") {
        const photo = picture(value, item[titleField.name]);
        if (photo) {
          body.append(photo);
        }
      } else {
        facts.append(element("dt", "", field.label), fact(field, value));
      }
    }
    body.append(...[chips, facts].filter((part) => part.childElementCount > 0), ...later);
    panel.decorate?.(node, item);
    for (const button of node.querySelectorAll("button")) {
      button.setAttribute("aria-label", `${button.textContent} ${item[titleField.name]}`);
    }
    return node;
  }

  function fact(field, value) {
    if (field.kind === "rating") {
      const filled = Math.min(5, Math.max(0, Math.round(value)));
      const stars = element("span", "stars", "★".repeat(filled) + "☆".repeat(5 - filled));
      stars.setAttribute("role", "img");
      stars.setAttribute("aria-label", `${filled} of 5 stars`);
      const wrapper = element("dd");
      wrapper.append(stars);
      return wrapper;
    }
    return element("dd", "", readable(field, value));
  }

  function readable(field, value) {
    if (field.kind === "money") {
      return money(value);
    }
    if (field.kind === "number") {
      return Number(value).toLocaleString(undefined, { maximumFractionDigits: 12 });
    }
    if (field.kind === "date") {
      const date = new Date(value + "T00:00:00");
      return Number.isNaN(date.getTime())
        ? String(value)
        : date.toLocaleDateString(undefined, { dateStyle: "medium" });
    }
    return String(value);
  }

  function money(value) {
    const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
    return Number(value).toLocaleString(undefined, digits);
  }

  function webLink(address) {
    if (!/^https?:\/\//i.test(address)) {
      return null;
    }
    const link = element("a", "", address);
    link.href = address;
    link.rel = "noreferrer";
    const wrapper = element("dd");
    wrapper.append(link);
    return wrapper;
  }

  function checkbox(item, field, node) {
    const label = element("label", "check");
    const input = element("input");
    input.type = "checkbox";
    input.checked = item[field.name];
    input.addEventListener("change", () => {
      item[field.name] = input.checked;
      node.classList.toggle("is-done", field.name === "done" && input.checked);
      save();
    });
    node.classList.toggle("is-done", field.name === "done" && item[field.name]);
    label.append(input, field.label);
    return label;
  }

  // Only pictures from the web or from the page itself, never a script address.
  function picture(address, title) {
    if (!/^(https?:\/\/|data:image\/|[\w./-]+$)/i.test(address)) {
      return null;
    }
    const image = element("img", "card-photo");
    image.src = address;
    image.alt = title;
    image.loading = "lazy";
    image.addEventListener("error", () => image.remove());
    return image;
  }

  function element(name, className, text) {
    const node = document.createElement(name);
    if (className) {
      node.className = className;
    }
    if (text !== undefined) {
      node.textContent = text;
    }
    return node;
  }

  let messageTimer = 0;

  function say(text) {
    const message = byId("message");
    message.textContent = text;
    message.hidden = false;
    window.clearTimeout(messageTimer);
    messageTimer = window.setTimeout(() => {
      message.hidden = true;
    }, 4000);
  }

  // ---- adding and editing -----------------------------------------------------------------

  let edited = null;

  // Opens the form for an item, or for a new one with these values.
  function openEditor(item, values = {}) {
    edited = item;
    byId("editor-form").reset();
    byId("editor-errors").hidden = true;
    byId("editor-title").textContent = item
      ? `Edit this ${config.singular}`
      : `Add ${config.with_article}`;
    for (const field of config.fields) {
      const control = byId(`field-${field.name}`);
      control.removeAttribute("aria-invalid");
      if (field.kind === "check") {
        control.checked = item ? item[field.name] : false;
      } else {
        control.value = item ? item[field.name] : (values[field.name] ?? "");
      }
    }
    panel.edit?.(item);
    byId("editor").showModal();
  }

  function submitEditor(event) {
    event.preventDefault();
    panel.collect?.();
    const problems = [];
    for (const field of config.fields) {
      const control = byId(`field-${field.name}`);
      const missing = field.required && control.value.trim() === "";
      if (missing) {
        problems.push(`“${field.label}” is needed.`);
      } else if (!control.validity.valid && !control.validity.valueMissing) {
        problems.push(`“${field.label}” is not right: ${control.validationMessage}`);
      } else {
        control.removeAttribute("aria-invalid");
        continue;
      }
      control.setAttribute("aria-invalid", "true");
      if (problems.length === 1) {
        control.focus();
      }
    }
    const raw = {};
    for (const field of config.fields) {
      const control = byId(`field-${field.name}`);
      raw[field.name] = field.kind === "check" ? control.checked : control.value;
    }
    if (problems.length === 0) {
      problems.push(...(panel.check?.(raw, edited) ?? []));
    }
    byId("editor-errors").textContent = problems.join(" ");
    byId("editor-errors").hidden = problems.length === 0;
    if (problems.length > 0) {
      byId("editor-errors").scrollIntoView({ block: "nearest" });
      return;
    }
    const item = readItem(raw);
    if (edited) {
      const id = edited.id;
      Object.assign(edited, item, { id });
    } else {
      items.push(item);
    }
    save();
    show();
    byId("editor").close();
    say(`“${item[titleField.name]}” is saved.`);
  }

  // ---- deleting ---------------------------------------------------------------------------

  let condemned = null;

  function askToDelete(item) {
    condemned = item;
    byId("confirm-text").textContent = `“${item[titleField.name]}” will be gone for good.`;
    byId("confirm").returnValue = "keep";
    byId("confirm").showModal();
  }

  function closeConfirm() {
    if (byId("confirm").returnValue === "delete" && condemned) {
      items = items.filter((item) => item !== condemned);
      save();
      show();
      byId("list").focus();
      say(`“${condemned[titleField.name]}” is deleted.`);
    }
    condemned = null;
  }

  // ---- passing on -------------------------------------------------------------------------

  function asText(item) {
    return config.fields
      .filter((field) => field.kind === "check" || item[field.name] !== "")
      .filter((field) => field.kind !== "days")
      .map((field) => {
        const value = item[field.name];
        const text = field.kind === "check" ? (value ? "yes" : "no") : readable(field, value);
        const parts = field.kind === "lines" ? `\n${text}` : ` ${text}`;
        return `${field.label}:${parts}`;
      })
      .join("\n");
  }

  async function share(item) {
    const text = asText(item);
    try {
      if (navigator.share) {
        await navigator.share({ title: item[titleField.name], text });
        return;
      }
      await navigator.clipboard.writeText(text);
      say("Copied as text.");
    } catch (error) {
      if (error.name !== "AbortError") {
        window.prompt("Copy this text:", text);
      }
    }
  }

  function exportAll() {
    const fields = config.fields.map((field) => field.name);
    const content = {
      name: config.name,
      items: items.map((item) => Object.fromEntries(fields.map((name) => [name, item[name]]))),
    };
    const link = element("a");
    const blob = new Blob([JSON.stringify(content, null, 2)], { type: "application/json" });
    link.href = URL.createObjectURL(blob);
    link.download = `${config.file_name}.json`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    say("Exported.");
  }

  async function importFile(event) {
    const input = event.target;
    const file = input.files[0];
    if (!file) {
      return;
    }
    try {
      const content = JSON.parse(await file.text());
      const list = Array.isArray(content) ? content : content.items;
      const read = list.map(readItem);
      if (read.length === 0 || read.some((item) => item === null)) {
        throw new Error("not a list of items");
      }
      items.push(...read);
      save();
      show();
      say(`${read.length} imported.`);
    } catch {
      say(`“${file.name}” is not an export of this application. Nothing was changed.`);
    }
    input.value = "";
  }

  // ---- appearance -------------------------------------------------------------------------

  const appearances = ["automatic", "light", "dark"];

  function readAppearance() {
    try {
      const kept = window.localStorage.getItem("appearance");
      return appearances.includes(kept) ? kept : "automatic";
    } catch {
      return "automatic";
    }
  }

  function applyAppearance(appearance) {
    if (appearance === "automatic") {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = appearance;
    }
    byId("theme").textContent = `Appearance: ${appearance}`;
  }

  function nextAppearance() {
    const current = appearances.indexOf(readAppearance());
    const next = appearances[(current + 1) % appearances.length];
    try {
      window.localStorage.setItem("appearance", next);
    } catch {
      say("This browser does not remember the choice.");
    }
    applyAppearance(next);
  }

  // ---- wiring -----------------------------------------------------------------------------

  const app = {
    byId,
    config,
    element,
    field: (role) => config.fields.find((field) => field.name === config.roles[role]),
    isoDay,
    items: () => items,
    money,
    openEditor,
    readable,
    save,
    say,
    show,
    title: (item) => item[titleField.name],
  };
  const panel = window.PANEL ? window.PANEL(app) : {};
  const actions = {
    edit: (item) => openEditor(item),
    delete: askToDelete,
    share,
    ...panel.actions,
  };

  byId("list").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) {
      return;
    }
    const id = Number(button.closest(".card").dataset.id);
    const item = items.find((candidate) => candidate.id === id);
    if (item) {
      actions[button.dataset.action](item);
    }
  });

  byId("new").addEventListener("click", () => openEditor(null));
  byId("editor-form").addEventListener("submit", submitEditor);
  byId("editor-cancel").addEventListener("click", () => byId("editor").close());
  byId("confirm").addEventListener("close", closeConfirm);
  byId("tools").addEventListener("input", show);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("export").addEventListener("click", exportAll);
  byId("import").addEventListener("change", importFile);
  byId("theme").addEventListener("click", nextAppearance);
  const print = byId("print");
  if (print) {
    print.addEventListener("click", () => window.print());
  }

  applyAppearance(readAppearance());
  byId("storage-note").hidden = isStorageThere();
  show();
})();
