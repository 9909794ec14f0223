// Shortcuts: "/" goes to the search field, "n" opens the form for a new item.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const target = { "/": "search", n: "new" }[event.key];
  const control = target && document.getElementById(target);
  if (control) {
    event.preventDefault();
    if (target === "search") {
      control.focus();
    } else {
      control.click();
    }
  }
});
