// Conversion: every item has a rate, the number of its units that equal one of the base.
"use strict";

window.PANEL = (app) => {
  const { byId, element } = app;
  const roles = app.config.roles;
  const [from, to] = [byId("convert-from"), byId("convert-to")];

  function fill(select, otherwise) {
    const before = select.value;
    const all = app.items();
    select.replaceChildren(
      ...all.map((item) => {
        const label = item[roles.label];
        const text = label ? `${app.title(item)} – ${label}` : app.title(item);
        const option = element("option", "", text);
        option.value = String(item.id);
        return option;
      }),
    );
    const keeps = all.some((item) => String(item.id) === before);
    select.value = keeps ? before : String((all[otherwise] ?? all[0])?.id ?? "");
  }

  function chosen(select) {
    return app.items().find((item) => String(item.id) === select.value);
  }

  function text(number) {
    const size = Math.abs(number);
    const digits = size >= 100 || size === 0 ? 2 : 6;
    return number.toLocaleString(undefined, { maximumFractionDigits: digits });
  }

  function convert() {
    const [one, other] = [chosen(from), chosen(to)];
    const amount = Number(byId("convert-amount").value);
    const rates = [one?.[roles.rate], other?.[roles.rate]];
    if (rates.some((rate) => !(rate > 0)) || !Number.isFinite(amount)) {
      byId("convert-result").textContent = "";
      byId("convert-how").textContent = "Both need a rate above zero in the list below.";
      return;
    }
    const factor = rates[1] / rates[0];
    const [left, right] = [app.title(one), app.title(other)];
    byId("convert-result").textContent = `${text(amount)} ${left} = ${text(amount * factor)} ${right}`;
    byId("convert-how").textContent =
      `1 ${left} = ${text(factor)} ${right}, by the rates in the list below. ${roles.note ?? ""}`.trim();
  }

  function show() {
    fill(from, 0);
    fill(to, 1);
    convert();
  }

  byId("convert-swap").addEventListener("click", () => {
    [from.value, to.value] = [to.value, from.value];
    convert();
  });
  byId("converter").addEventListener("input", convert);
  byId("converter").addEventListener("submit", (event) => event.preventDefault());

  function check(raw) {
    return Number(raw[roles.rate]) > 0 ? [] : ["The rate must be above zero."];
  }

  return { show, check };
};
