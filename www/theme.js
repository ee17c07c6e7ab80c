// @ts-check
// The only script that runs before the page is painted: it applies a stored light or dark choice,
// so that the page never flashes in the other one. Everything else is a module and may come later.
(() => {
  try {
    const theme = localStorage.getItem("covey.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is blocked: the system's preference applies.
  }
})();
