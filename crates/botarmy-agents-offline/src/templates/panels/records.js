// States: how many items are in each, and a list on every card that moves the item.
"use strict";

window.PANEL = (app) => {
  const { byId, element } = app;
  const state = app.field("state");
  const due = app.field("due");
  const done = app.config.roles.final;

  function select(option) {
    const filter = byId("filter");
    filter.value = filter.value === option ? "" : option;
    app.show();
  }

  function show() {
    const chosen = byId("filter").value;
    const buttons = state.options.map((option) => {
      const count = app.items().filter((item) => item[state.name] === option).length;
      const button = element("button", "state");
      button.type = "button";
      button.setAttribute("aria-pressed", String(chosen === option));
      button.append(element("strong", "", String(count)), element("span", "", option));
      button.addEventListener("click", () => select(option));
      return button;
    });
    byId("states").replaceChildren(...buttons);
  }

  function isLate(item) {
    return (
      Boolean(due) &&
      item[due.name] !== "" &&
      item[state.name] !== done &&
      item[due.name] < app.isoDay(new Date())
    );
  }

  function decorate(node, item) {
    if (isLate(item)) {
      let chips = node.querySelector(".chips");
      if (!chips) {
        chips = element("p", "chips");
        node.querySelector(".card-body").prepend(chips);
      }
      chips.append(element("span", "chip late", "Late"));
    }
    const mover = element("select");
    mover.setAttribute("aria-label", `${state.label} of ${app.title(item)}`);
    mover.append(
      ...state.options.map((option) => {
        const choice = element("option", "", option);
        choice.value = option;
        choice.selected = item[state.name] === option;
        return choice;
      }),
    );
    if (!state.options.includes(item[state.name])) {
      mover.prepend(element("option", "", "–"));
      mover.selectedIndex = 0;
    }
    mover.addEventListener("change", () => {
      item[state.name] = mover.value;
      app.save();
      app.show();
      app.say(`“${app.title(item)}”: ${mover.value}.`);
    });
    node.querySelector(".card-actions").prepend(mover);
  }

  return { show, decorate };
};
