// Applies the appearance chosen on the main page: automatic, light or dark.
"use strict";

(function () {
  let chosen = null;
  try {
    chosen = window.localStorage.getItem("appearance");
  } catch {
    chosen = null;
  }
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.theme = chosen;
  }
})();
