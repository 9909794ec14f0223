// Documents with lines: each line has a text, a quantity and a price. In the data a line is
// "text | quantity | price".
"use strict";

window.PANEL = (app) => {
  const { byId, element, money } = app;
  const roles = app.config.roles;
  const lines = app.field("lines");
  const state = app.field("state");

  function parse(text) {
    const rows = text.split("\n").filter((line) => line.trim() !== "");
    return rows.map((line) => {
      const parts = line.split("|").map((part) => part.trim());
      const price = parts.length > 2 ? parts.pop() : "";
      const quantity = parts.length > 1 ? parts.pop() : "";
      return { text: parts.join(" / "), quantity: number(quantity, 1), price: number(price, 0) };
    });
  }

  function number(text, otherwise) {
    const value = Number(String(text).replace(",", "."));
    return String(text).trim() !== "" && Number.isFinite(value) ? value : otherwise;
  }

  // Amounts are added in hundredths, so that sums do not drift.
  function cents(row) {
    return Math.round(row.quantity * row.price * 100);
  }

  function totals(item) {
    const net = parse(item[lines.name]).reduce((sum, row) => sum + cents(row), 0);
    const percent = number(item[roles.tax] ?? "", 0);
    const tax = Math.round((net * percent) / 100);
    return { net: net / 100, percent, tax: tax / 100, gross: (net + tax) / 100 };
  }

  function isLate(item) {
    const due = item[roles.due] ?? "";
    return item[state.name] === roles.open && due !== "" && due < app.isoDay(new Date());
  }

  function show() {
    const parts = state.options.map((option) => {
      const all = app.items().filter((item) => item[state.name] === option);
      return [option, all, ""];
    });
    parts.push(["Overdue", app.items().filter(isLate), "late"]);
    byId("sums").replaceChildren(
      ...parts.map(([label, all, kind]) => {
        const sum = all.reduce((total, item) => total + totals(item).gross, 0);
        const part = element("div", kind);
        part.append(
          element("dt", "", `${label} (${all.length})`),
          element("dd", "", money(sum)),
        );
        return part;
      }),
    );
  }

  function decorate(node, item) {
    const table = element("table", "lines");
    const head = element("tr");
    for (const [label, kind] of [["Text", ""], ["Quantity", "amount"], ["Price", "amount"], ["Sum", "amount"]]) {
      const cell = element("th", kind, label);
      cell.scope = "col";
      head.append(cell);
    }
    const thead = element("thead");
    thead.append(head);
    const body = element("tbody");
    for (const row of parse(item[lines.name])) {
      body.append(cells([row.text, String(row.quantity), money(row.price), money(cents(row) / 100)]));
    }
    const sums = totals(item);
    const foot = element("tfoot");
    if (sums.tax !== 0) {
      foot.append(
        cells(["Without tax", "", "", money(sums.net)]),
        cells([`Tax, ${sums.percent} %`, "", "", money(sums.tax)]),
      );
    }
    foot.append(cells(["Total", "", "", money(sums.gross)]));
    table.append(thead, body, foot);
    const place = node.querySelector(".card-body");
    place.append(table);
    if (isLate(item)) {
      place.prepend(element("p", "late-mark", "Overdue"));
    }
  }

  function cells(texts) {
    const row = element("tr");
    row.append(...texts.map((text, n) => element("td", n > 0 ? "amount" : "", text)));
    return row;
  }

  function sheet(item) {
    const node = document.querySelector(`.card[data-id="${item.id}"]`);
    node.classList.add("sheet");
    document.body.classList.add("one-sheet");
    window.print();
    document.body.classList.remove("one-sheet");
    node.classList.remove("sheet");
  }

  // ---- the lines in the form --------------------------------------------------------------

  const rows = byId("line-rows");

  function input(label, value, type) {
    const field = element("input");
    field.type = type;
    field.value = value;
    field.setAttribute("aria-label", label);
    if (type === "number") {
      field.step = "any";
    } else {
      field.maxLength = 200;
    }
    return field;
  }

  function addRow(row) {
    const node = element("div", "line-row");
    const remove = element("button", "", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", "Remove this line");
    remove.addEventListener("click", () => node.remove());
    node.append(
      input("Text", row.text, "text"),
      input("Quantity", row.quantity, "number"),
      input("Price", row.price, "number"),
      remove,
    );
    rows.append(node);
    return node;
  }

  byId("line-add").addEventListener("click", () => {
    addRow({ text: "", quantity: 1, price: "" }).querySelector("input").focus();
  });

  function edit(item) {
    rows.replaceChildren();
    const kept = item ? parse(item[lines.name]) : [];
    for (const row of kept.length > 0 ? kept : [{ text: "", quantity: 1, price: "" }]) {
      addRow(row);
    }
  }

  function collect() {
    const kept = [...rows.children].map((node) => {
      const [text, quantity, price] = [...node.querySelectorAll("input")].map((one) => one.value);
      const clean = text.replaceAll("|", "/").trim();
      return clean === "" && price === "" ? "" : `${clean} | ${quantity || 1} | ${price || 0}`;
    });
    byId(`field-${lines.name}`).value = kept.filter(Boolean).join("\n");
  }

  function check(raw) {
    return raw[lines.name] === "" ? ["Add at least one line."] : [];
  }

  return { show, decorate, edit, collect, check, actions: { sheet } };
};
