// Before anything is painted: light or dark, as chosen (also in the admin) or as the system says.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const system = () => (dark.matches ? "dark" : "light");
  const show = () => { root.dataset.theme = root.dataset.bsTheme = /^(light|dark)$/.exec(localStorage.getItem("theme"))?.[0] ?? system(); };
  show();
  dark.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    localStorage.setItem("theme", root.dataset.bsTheme === "dark" ? "light" : "dark");
    show();
  });
})();
