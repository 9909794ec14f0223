// The script of the console. Every page works without it.
"use strict";

// A sign-in link has its code in the fragment, which browsers send nowhere. It leaves the address bar,
// and so the history, before it is sent.
const signIn = document.querySelector("form[data-code]");
function useLink() {
  const code = location.hash.slice(1);
  if (!signIn || !code.startsWith("botarmy_l_")) return;
  history.replaceState(null, "", location.pathname + location.search);
  signIn.elements.code.value = code;
  signIn.requestSubmit();
}
useLink();
addEventListener("hashchange", useLink);

// Times are in UTC; people read them in their own time zone, and see the other one when they point at it.
for (const time of document.querySelectorAll("time[datetime]")) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) continue;
  time.title = time.textContent;
  time.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
