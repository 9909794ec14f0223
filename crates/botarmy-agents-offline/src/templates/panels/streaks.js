// The last seven days of every item, with a box for each, and the days in a row.
"use strict";

window.PANEL = (app) => {
  const { byId, element } = app;
  const roles = app.config.roles;

  function ticked(item) {
    return new Set(item[roles.ticks].split(/\s+/).filter(Boolean));
  }

  function ago(days) {
    const day = new Date();
    day.setDate(day.getDate() - days);
    return day;
  }

  // Today may still come; a day before it that is missing ends the row.
  function streak(days) {
    let count = days.has(app.isoDay(new Date())) ? 1 : 0;
    for (let n = 1; days.has(app.isoDay(ago(n))); n += 1) {
      count += 1;
    }
    return count;
  }

  function toggle(item, iso, isDone) {
    const days = ticked(item);
    if (isDone) {
      days.add(iso);
    } else {
      days.delete(iso);
    }
    item[roles.ticks] = [...days].sort().join(" ");
    app.save();
  }

  function summary(item, week) {
    const days = ticked(item);
    const row = streak(days);
    const done = week.filter((day) => days.has(app.isoDay(day))).length;
    const goal = item[roles.goal];
    const inARow = row === 1 ? "1 day in a row" : `${row} days in a row`;
    return goal ? `${inARow}, ${done} of ${goal} this week` : `${inARow}, ${done} this week`;
  }

  function line(item, week) {
    const row = element("tr");
    const head = element("th", "", app.title(item));
    head.scope = "row";
    const small = element("small", "", summary(item, week));
    head.append(small);
    row.append(head);
    const days = ticked(item);
    week.forEach((day, n) => {
      const iso = app.isoDay(day);
      const cell = element("td", n === week.length - 1 ? "today" : "");
      const box = element("input");
      box.type = "checkbox";
      box.checked = days.has(iso);
      const name = day.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
      box.setAttribute("aria-label", `${app.title(item)}, ${name}`);
      box.addEventListener("change", () => {
        toggle(item, iso, box.checked);
        small.textContent = summary(item, week);
      });
      cell.append(box);
      row.append(cell);
    });
    return row;
  }

  function show() {
    const week = [6, 5, 4, 3, 2, 1, 0].map(ago);
    const head = element("tr");
    const first = element("td");
    head.append(first);
    week.forEach((day, n) => {
      const cell = element("th", n === week.length - 1 ? "today" : "");
      cell.scope = "col";
      cell.append(
        day.toLocaleDateString(undefined, { weekday: "short" }),
        element("br"),
        String(day.getDate()),
      );
      head.append(cell);
    });
    byId("grid-head").replaceChildren(head);
    byId("grid-body").replaceChildren(...app.items().map((item) => line(item, week)));
  }

  return { show };
};
