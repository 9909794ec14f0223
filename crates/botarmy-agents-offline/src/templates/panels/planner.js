// A calendar week. Entries of the same day and place must not overlap.
"use strict";

window.PANEL = (app) => {
  const { byId, element } = app;
  const roles = app.config.roles;
  const place = app.field("place");

  function mondayOf(day) {
    const monday = new Date(day.getFullYear(), day.getMonth(), day.getDate());
    monday.setDate(monday.getDate() - ((monday.getDay() + 6) % 7));
    return monday;
  }

  function plus(day, days) {
    const other = new Date(day);
    other.setDate(other.getDate() + days);
    return other;
  }

  let monday = mondayOf(new Date());

  function times(item) {
    const [from, to] = [item[roles.from], item[roles.to]];
    return from && to ? `${from}–${to}` : from || to || "All day";
  }

  function isVoid(item) {
    return Boolean(roles.void) && Object.values(item).includes(roles.void);
  }

  function entry(item) {
    const button = element("button", isVoid(item) ? "entry void" : "entry");
    button.type = "button";
    const where = place && item[place.name] ? item[place.name] : "";
    button.append(element("span", "", times(item)), app.title(item));
    if (where) {
      button.append(element("span", "", where));
    }
    button.addEventListener("click", () => app.openEditor(item));
    return button;
  }

  function day(date) {
    const iso = app.isoDay(date);
    const name = date.toLocaleDateString(undefined, {
      weekday: "short",
      day: "numeric",
      month: "short",
    });
    const node = element("li", iso === app.isoDay(new Date()) ? "day today" : "day");
    const entries = app
      .items()
      .filter((item) => item[roles.date] === iso)
      .sort((a, b) => a[roles.from].localeCompare(b[roles.from]));
    const add = element("button", "day-add", "+");
    add.type = "button";
    add.setAttribute("aria-label", `Add ${app.config.with_article} on ${name}`);
    add.addEventListener("click", () => app.openEditor(null, { [roles.date]: iso }));
    node.append(element("h3", "", name), ...entries.map(entry), add);
    return node;
  }

  function show() {
    const format = { day: "numeric", month: "long", year: "numeric" };
    byId("week-title").textContent = `Week of ${monday.toLocaleDateString(undefined, format)}`;
    byId("week").replaceChildren(...[0, 1, 2, 3, 4, 5, 6].map((n) => day(plus(monday, n))));
  }

  function go(to) {
    monday = to;
    show();
  }

  byId("week-before").addEventListener("click", () => go(plus(monday, -7)));
  byId("week-now").addEventListener("click", () => go(mondayOf(new Date())));
  byId("week-after").addEventListener("click", () => go(plus(monday, 7)));

  function check(raw, edited) {
    const [date, from, to] = [raw[roles.date], raw[roles.from], raw[roles.to]];
    if (!from || !to) {
      return [];
    }
    if (to <= from) {
      return ["The end must come after the beginning."];
    }
    const other = app.items().find(
      (item) =>
        item !== edited &&
        !isVoid(raw) &&
        !isVoid(item) &&
        item[roles.date] === date &&
        (!place || (raw[place.name] !== "" && item[place.name] === raw[place.name])) &&
        item[roles.from] !== "" &&
        item[roles.to] !== "" &&
        item[roles.from] < to &&
        from < item[roles.to],
    );
    if (!other) {
      return [];
    }
    const where = place ? `${other[place.name]}: ` : "";
    return [`${where}“${app.title(other)}” is there from ${times(other).replace("–", " to ")}.`];
  }

  return { show, check };
};
