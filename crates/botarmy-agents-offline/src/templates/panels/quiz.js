// A round of questions in random order: each with answers to choose from, or as a card to turn.
"use strict";

window.PANEL = (app) => {
  const { byId, element } = app;
  const roles = app.config.roles;
  const isCards = roles.mode === "cards";
  let round = null;

  function shuffled(list) {
    const all = [...list];
    for (let last = all.length - 1; last > 0; last -= 1) {
      const other = Math.floor(Math.random() * (last + 1));
      [all[last], all[other]] = [all[other], all[last]];
    }
    return all;
  }

  function actions(...list) {
    const buttons = list.map(([text, kind, action]) => {
      const button = element("button", kind, text);
      button.type = "button";
      button.addEventListener("click", action);
      return button;
    });
    byId("round-actions").replaceChildren(...buttons);
    return buttons;
  }

  function begin() {
    round = { left: shuffled(app.items()), asked: 0, right: 0, missed: [] };
    round.total = round.left.length;
    next();
  }

  function next() {
    if (round.left.length === 0) {
      finish();
      return;
    }
    const item = round.left.pop();
    round.asked += 1;
    const place = element("p", "count", `${round.asked} of ${round.total}`);
    const title = element("h3", "", app.title(item));
    byId("round").replaceChildren(place, title);
    if (isCards) {
      const [turn] = actions(["Turn the card", "primary", () => turned(item)]);
      turn.focus({ preventScroll: true });
    } else {
      offer(item);
    }
  }

  function offer(item) {
    const wrong = [roles.wrong1, roles.wrong2, roles.wrong3].map((name) => item[name]);
    const texts = shuffled([item[roles.right], ...wrong.filter(Boolean)]);
    const choices = element("div", "choices");
    for (const text of texts) {
      const button = element("button", "", text);
      button.type = "button";
      button.addEventListener("click", () => judge(item, button, choices));
      choices.append(button);
    }
    byId("round").append(choices);
    actions(["Stop", "quiet", stop]);
  }

  function judge(item, chosen, choices) {
    const right = item[roles.right];
    const isRight = chosen.textContent === right;
    for (const button of choices.children) {
      button.disabled = true;
      button.classList.toggle("is-right", button.textContent === right);
    }
    chosen.classList.toggle("is-wrong", !isRight);
    count(item, isRight);
    const reason = roles.reason ? item[roles.reason] : "";
    const verdict = isRight ? "Right." : `Not quite. It is: ${right}.`;
    byId("round").append(element("p", "verdict", `${verdict} ${reason}`.trim()));
    const label = round.left.length === 0 ? "See the score" : "Next";
    const [go] = actions([label, "primary", next], ["Stop", "quiet", stop]);
    go.focus({ preventScroll: true });
  }

  function turned(item) {
    byId("round").append(element("p", "score", item[roles.right]));
    const [knew] = actions(
      ["I knew it", "primary", () => answered(item, true)],
      ["Not yet", "", () => answered(item, false)],
      ["Stop", "quiet", stop],
    );
    knew.focus({ preventScroll: true });
  }

  function answered(item, isRight) {
    count(item, isRight);
    next();
  }

  function count(item, isRight) {
    round.right += Number(isRight);
    if (!isRight) {
      round.missed.push(app.title(item));
    }
  }

  function finish() {
    const lines = [element("p", "score", `${round.right} of ${round.total}`)];
    if (round.missed.length > 0) {
      lines.push(element("p", "", `To look at again: ${round.missed.join("; ")}`));
    }
    byId("round").replaceChildren(...lines);
    round = null;
    actions(["Play again", "primary", begin]);
  }

  function stop() {
    round = null;
    show();
  }

  function show() {
    if (round) {
      return;
    }
    const count = app.items().length;
    const text =
      count === 1
        ? `1 ${app.config.singular} is ready.`
        : `${count} ${app.config.plural} are ready.`;
    byId("round").replaceChildren(element("p", "", text));
    if (count > 0) {
      actions(["Start", "primary", begin]);
    } else {
      actions();
    }
  }

  return { show };
};
