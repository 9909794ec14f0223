// One stop at a time, in the order of the numbers. A stop with the address of a recording plays it;
// the text of the others is read by the voice of the browser, where it has one.
"use strict";

window.PANEL = (app) => {
  const { byId } = app;
  const roles = app.config.roles;
  const voice = window.speechSynthesis;
  let current = null;
  let isReading = false;

  function stops() {
    const place = (item) => (item[roles.order] === "" ? Infinity : item[roles.order]);
    return [...app.items()].sort((a, b) => place(a) - place(b) || a.id - b.id);
  }

  function quiet() {
    isReading = false;
    voice?.cancel();
    byId("stop-audio").pause();
    byId("stop-listen").textContent = "Read aloud";
  }

  function show() {
    const all = stops();
    const at = Math.max(0, all.findIndex((item) => item.id === current));
    const item = all[at];
    current = item?.id ?? null;
    byId("stop-before").disabled = at === 0;
    byId("stop-after").disabled = at >= all.length - 1;
    byId("stop-listen").disabled = !item;
    const where = item && roles.place && item[roles.place] ? `: ${item[roles.place]}` : "";
    byId("stop-place").textContent = item ? `Stop ${at + 1} of ${all.length}${where}` : "";
    byId("stop-title").textContent = item ? app.title(item) : "There are no stops yet";
    byId("stop-text").textContent = item ? item[roles.text] : "";
    const address = item && roles.audio ? item[roles.audio] : "";
    const audio = byId("stop-audio");
    const hasAudio = /^https?:\/\//i.test(address);
    audio.hidden = !hasAudio;
    byId("stop-listen").hidden = hasAudio;
    if (hasAudio && audio.src !== address) {
      audio.src = address;
    }
  }

  function move(by) {
    quiet();
    const all = stops();
    const at = all.findIndex((item) => item.id === current);
    current = all[Math.min(all.length - 1, Math.max(0, at + by))]?.id ?? null;
    show();
  }

  function listen() {
    if (isReading) {
      quiet();
      return;
    }
    if (!voice || typeof window.SpeechSynthesisUtterance !== "function") {
      app.say("This browser has no voice. Read the text instead.");
      return;
    }
    voice.cancel();
    const speech = new window.SpeechSynthesisUtterance(byId("stop-text").textContent);
    speech.addEventListener("end", quiet);
    speech.addEventListener("error", (event) => {
      if (isReading && event.error !== "canceled" && event.error !== "interrupted") {
        app.say("This browser has no voice. Read the text instead.");
      }
      quiet();
    });
    isReading = true;
    byId("stop-listen").textContent = "Stop reading";
    voice.speak(speech);
  }

  byId("stop-before").addEventListener("click", () => move(-1));
  byId("stop-after").addEventListener("click", () => move(1));
  byId("stop-listen").addEventListener("click", listen);
  window.addEventListener("pagehide", quiet);

  return { show };
};
