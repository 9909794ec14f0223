// A conversation by keywords: the answer that shares most words with the question is shown. There
// is no language model, and nothing is sent anywhere.
"use strict";

window.PANEL = (app) => {
  const { byId, element } = app;
  const roles = app.config.roles;
  const small = new Set(
    "a an and are be can could do does for from have how i in is it me my of on or our the there to was we what when where which who why will with you your".split(" "),
  );

  function words(text) {
    const found = text.toLocaleLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    return found.map((word) => (word.length > 3 ? word.replace(/(es|s|ed|ing)$/, "") : word));
  }

  // A word that leads to an answer counts twice, one that is only in its question counts once.
  function score(item, asked) {
    const leads = new Set(words(item[roles.words]));
    const named = new Set(words(app.title(item)).filter((word) => !small.has(word)));
    let points = 0;
    for (const word of new Set(asked)) {
      points += leads.has(word) ? 2 : Number(named.has(word));
    }
    return points;
  }

  function best(text) {
    const asked = words(text);
    let found = null;
    let most = 0;
    for (const item of app.items()) {
      const points = score(item, asked);
      if (points > most) {
        [found, most] = [item, points];
      }
    }
    return found;
  }

  function write(text, kind) {
    const line = element("li", kind, text);
    byId("talk").append(line);
    byId("talk").scrollTop = byId("talk").scrollHeight;
  }

  function ask(text) {
    write(text, "mine");
    const item = best(text);
    if (item) {
      write(item[roles.answer]);
    } else {
      write("No answer in the list fits these words. It is not known here. Try one of the questions below.");
    }
  }

  function greet() {
    byId("talk").replaceChildren();
    write(`Hello. This is ${app.config.name}. It finds an answer by the words of your question.`);
  }

  function show() {
    const topics = app.items().slice(0, 6);
    byId("topics").replaceChildren(
      ...topics.map((item) => {
        const button = element("button", "", app.title(item));
        button.type = "button";
        button.addEventListener("click", () => {
          write(app.title(item), "mine");
          write(item[roles.answer]);
        });
        return button;
      }),
    );
  }

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("ask-text");
    const text = field.value.trim();
    if (text !== "") {
      ask(text);
    }
    field.value = "";
    field.focus();
  });
  byId("ask-clear").addEventListener("click", greet);
  greet();

  return { show };
};
